//! `fulcrum namespace`

use clap::{Args, Subcommand};
use fulcrum_proto::admin::v1::{CreateNamespaceRequest, ListNamespacesRequest};

use crate::client::request_id;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::namespace::NamespaceView;

/// Most items in one page of a listing.
const PAGE: u32 = 1000;

/// Keep companies or projects apart
#[derive(Debug, Subcommand)]
pub enum Namespace {
    Create(Create),
    List(List),
}

/// Create a namespace
#[derive(Debug, Args)]
pub struct Create {
    /// Its name: lower-case letters, digits and dashes
    name: String,

    /// How many shards it has, for ever
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    shards: u32,
}

/// List namespaces
#[derive(Debug, Args)]
pub struct List {}

impl Namespace {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Namespace::Create(create) => create.run(session).await,
            Namespace::List(_) => list(session).await,
        }
    }
}

impl Create {
    async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let request = CreateNamespaceRequest {
            name: self.name,
            shards: self.shards,
            request_id: request_id::fresh()?,
        };
        let answer = connection
            .namespaces()
            .create_namespace(request)
            .await?
            .into_inner();
        if let Some(namespace) = &answer.namespace {
            session.printer().page(&NamespaceView::from(namespace))?;
        }
        Ok(Exit::Ok)
    }
}

async fn list(session: &Session) -> Result<Exit, CliError> {
    let connection = session.connect().await?;
    let mut client = connection.namespaces();
    let mut namespaces: Vec<NamespaceView> = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = client
            .list_namespaces(ListNamespacesRequest {
                page_size: PAGE,
                page_token,
            })
            .await?
            .into_inner();
        namespaces.extend(page.namespaces.iter().map(NamespaceView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    session.printer().list(&namespaces)?;
    Ok(Exit::Ok)
}
