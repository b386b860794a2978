//! `fulcrum validate`

use clap::Args;
use fulcrum_proto::workflow::v1::{
    SourceFormat, ValidateDefinitionRequest, ValidateDefinitionResponse,
};
use serde::Serialize;

use super::source::Source;
use crate::client::connection::Connection;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Format;
use crate::session::Session;
use crate::view::definition::DiagnosticView;
use crate::view::run::short;

/// Check workflow files and store nothing
///
/// All findings are shown at once, each with its line and column: steps and capabilities that do not exist, inputs that
/// do not fit, cycles, expressions that do not parse or name nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum validate onboarding.yaml
  fulcrum validate --local onboarding.yaml
  fulcrum validate --allow-unregistered workflows/*.yaml
  cat onboarding.yaml | fulcrum validate -")]
pub struct Validate {
    /// Workflow files, YAML or JSON; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    /// Accept capabilities that no worker has registered yet
    #[arg(long)]
    allow_unregistered: bool,

    /// Check on this machine, without looking up capabilities and workflows; so it is done too when no controller is
    /// known
    #[arg(long)]
    local: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    definition_hash: String,
    diagnostics: Vec<DiagnosticView>,
}

/// Who checks.
enum Checker {
    Controller(Box<Connection>),
    Here,
}

impl Validate {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let checker = self.checker(session).await?;
        let mut exit = Exit::Ok;
        let mut reports = Vec::new();
        for file in &self.files {
            let source = Source::read(file)?;
            let answer = self.check(&checker, &source).await?;
            let findings = source.report(session, &answer.diagnostics);
            if findings.errors > 0 {
                exit = Exit::Usage;
                session
                    .notice()
                    .insist(&format!("{file}: {}", findings.summary()));
            } else if session.printer().format == Format::Table {
                session.printer().line(&format!(
                    "{file}: valid ({})",
                    short(&answer.definition_hash)
                ))?;
            }
            reports.push(Report {
                file: file.clone(),
                definition_hash: answer.definition_hash,
                diagnostics: findings.views,
            });
        }
        if session.printer().format != Format::Table {
            session.printer().document(&reports)?;
        }
        Ok(exit)
    }

    async fn checker(&self, session: &Session) -> Result<Checker, CliError> {
        if self.local {
            return Ok(Checker::Here);
        }
        if cfg!(feature = "dev") && !session.knows_a_controller()? {
            session.notice().say(
                "no controller is known: checked here, without looking up capabilities and workflows",
            );
            return Ok(Checker::Here);
        }
        Ok(Checker::Controller(Box::new(session.connect().await?)))
    }

    async fn check(
        &self,
        checker: &Checker,
        source: &Source,
    ) -> Result<ValidateDefinitionResponse, CliError> {
        let connection = match checker {
            Checker::Here => return here(&source.text),
            Checker::Controller(connection) => connection,
        };
        let request = ValidateDefinitionRequest {
            namespace: connection.namespace(),
            source: source.text.clone().into_bytes().into(),
            format: SourceFormat::Unspecified.into(),
            allow_unregistered: self.allow_unregistered,
        };
        let mut client = connection.definitions();
        Ok(client.validate_definition(request).await?.into_inner())
    }
}

#[cfg(feature = "dev")]
fn here(text: &str) -> Result<ValidateDefinitionResponse, CliError> {
    Ok(super::check_here::check(text))
}

#[cfg(not(feature = "dev"))]
fn here(_: &str) -> Result<ValidateDefinitionResponse, CliError> {
    Err(CliError::usage(
        "this build is a client only: it cannot check definitions by itself",
        "name a controller that does: `fulcrum context add NAME --token …`",
    ))
}
