//! `fulcrum capability`

use clap::{Args, Subcommand};
use fulcrum_proto::admin::v1::{GetCapabilityRequest, ListCapabilitiesRequest};

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::capability::CapabilityView;

/// Most items in one page of a listing.
const PAGE: u32 = 1000;

/// See what workers can do
#[derive(Debug, Subcommand)]
pub enum Capability {
    List(List),
    Show(Show),
}

/// List capabilities
#[derive(Debug, Args)]
pub struct List {}

/// Show a capability's contract: schemas, effect, who offers it
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum capability show crm.contact.upsert
  fulcrum capability show crm.contact.upsert -o json | jq .input_schema")]
pub struct Show {
    /// Its name
    name: String,

    /// Version of the contract; the latest if not given
    #[arg(
        long = "contract-version",
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true
    )]
    version: u32,
}

impl Capability {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Capability::List(_) => list(session).await,
            Capability::Show(show) => show.run(session).await,
        }
    }
}

async fn list(session: &Session) -> Result<Exit, CliError> {
    let connection = session.connect().await?;
    let mut client = connection.capabilities();
    let mut capabilities: Vec<CapabilityView> = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListCapabilitiesRequest {
            namespace: connection.namespace(),
            page_size: PAGE,
            page_token,
        };
        let page = client.list_capabilities(request).await?.into_inner();
        capabilities.extend(page.capabilities.iter().map(CapabilityView::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if capabilities.is_empty() {
        session.notice().say(
            "no worker has registered a capability yet; `fulcrum worker list` shows who is here",
        );
    }
    session.printer().list(&capabilities)?;
    Ok(Exit::Ok)
}

impl Show {
    async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let request = GetCapabilityRequest {
            namespace: connection.namespace(),
            name: self.name,
            version: self.version,
        };
        let answer = connection
            .capabilities()
            .get_capability(request)
            .await?
            .into_inner();
        let capability = answer
            .capability
            .ok_or_else(|| CliError::BadAnswer("it names no capability".to_owned()))?;
        session.printer().page(&CapabilityView::from(&capability))?;
        Ok(Exit::Ok)
    }
}
