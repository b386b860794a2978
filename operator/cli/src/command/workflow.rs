//! `fulcrum workflow`

use clap::{Args, Subcommand};
use fulcrum_proto::workflow::v1::get_definition_request::Version;
use fulcrum_proto::workflow::v1::{GetDefinitionRequest, ListDefinitionsRequest};

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Format;
use crate::output::safe_text;
use crate::session::Session;
use crate::view::definition::DefinitionView;

/// Most items in one page of a listing.
const PAGE: u32 = 1000;

/// See which workflows are stored
#[derive(Debug, Subcommand)]
pub enum Workflow {
    List(List),
    Show(Show),
}

/// List workflows, or all versions of one
#[derive(Debug, Args)]
pub struct List {
    /// List all versions of this workflow, newest first
    workflow: Option<String>,
}

/// Show a workflow's source
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum workflow show onboarding > onboarding.yaml
  fulcrum workflow show onboarding -o json | jq .capabilities")]
pub struct Show {
    /// Name of the workflow, or the full hash of a version
    workflow: String,
}

impl Workflow {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Workflow::List(list) => list.run(session).await,
            Workflow::Show(show) => show.run(session).await,
        }
    }
}

impl List {
    async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let mut client = connection.definitions();
        let mut definitions: Vec<DefinitionView> = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListDefinitionsRequest {
                namespace: connection.namespace(),
                workflow: self.workflow.clone().unwrap_or_default(),
                page_size: PAGE,
                page_token,
            };
            let page = client.list_definitions(request).await?.into_inner();
            definitions.extend(page.definitions.iter().map(DefinitionView::from));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        if definitions.is_empty() {
            session
                .notice()
                .say("no workflows; `fulcrum apply FILE` stores one");
        }
        session.printer().list(&definitions)?;
        Ok(Exit::Ok)
    }
}

impl Show {
    async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let is_hash =
            self.workflow.len() == 64 && self.workflow.bytes().all(|byte| byte.is_ascii_hexdigit());
        let version = if is_hash {
            Version::DefinitionHash(self.workflow)
        } else {
            Version::Workflow(self.workflow)
        };
        let request = GetDefinitionRequest {
            namespace: connection.namespace(),
            version: Some(version),
        };
        let answer = connection
            .definitions()
            .get_definition(request)
            .await?
            .into_inner();
        let definition = answer
            .definition
            .ok_or_else(|| CliError::BadAnswer("it names no definition".to_owned()))?;
        let view = DefinitionView::from(&definition);
        match session.printer().format {
            Format::Table => session
                .printer()
                .line(safe_text::block(&view.source).trim_end())?,
            Format::Json | Format::Yaml => session.printer().page(&view)?,
        }
        Ok(Exit::Ok)
    }
}
