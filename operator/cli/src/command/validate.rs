//! `fulcrum validate`

use clap::Args;
use fulcrum_proto::workflow::v1::{SourceFormat, ValidateDefinitionRequest};
use serde::Serialize;

use super::source::Source;
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
  fulcrum validate --allow-unregistered workflows/*.yaml
  cat onboarding.yaml | fulcrum validate -")]
pub struct Validate {
    /// Workflow files, YAML or JSON; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    /// Accept capabilities that no worker has registered yet
    #[arg(long)]
    allow_unregistered: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    definition_hash: String,
    diagnostics: Vec<DiagnosticView>,
}

impl Validate {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let mut client = connection.definitions();
        let mut exit = Exit::Ok;
        let mut reports = Vec::new();
        for file in &self.files {
            let source = Source::read(file)?;
            let request = ValidateDefinitionRequest {
                namespace: connection.namespace(),
                source: source.text.clone().into_bytes().into(),
                format: SourceFormat::Unspecified.into(),
                allow_unregistered: self.allow_unregistered,
            };
            let answer = client.validate_definition(request).await?.into_inner();
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
}
