//! `fulcrum apply`

use clap::Args;
use fulcrum_proto::workflow::v1::{ApplyDefinitionRequest, ApplyDefinitionResponse, SourceFormat};
use serde::Serialize;

use super::source::Source;
use crate::client::connection::Connection;
use crate::client::request_id;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::printer::Row;
use crate::output::style::Tone;
use crate::output::table::Cell;
use crate::session::Session;
use crate::view::definition::{DefinitionView, DiagnosticView};
use crate::view::run::short;

/// Store workflow files as the current versions of their workflows
///
/// A version is immutable and named by its content, so that applying the same text twice changes nothing. Runs keep the
/// version they were started with.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum apply onboarding.yaml
  fulcrum apply --dry-run workflows/*.yaml
  fulcrum apply -o json onboarding.yaml | jq -r .[0].definition_hash")]
pub struct Apply {
    /// Workflow files, YAML or JSON; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,

    /// Accept capabilities that no worker has registered yet
    #[arg(long)]
    allow_unregistered: bool,

    /// Check only, store nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct Applied {
    file: String,
    #[serde(flatten)]
    definition: Option<DefinitionView>,
    result: &'static str,
    diagnostics: Vec<DiagnosticView>,
}

impl Row for Applied {
    const HEADER: &'static [&'static str] = &["WORKFLOW", "VERSION", "STEPS", "RESULT", "FILE"];

    fn cells(&self) -> Vec<Cell> {
        let of = |field: fn(&DefinitionView) -> String| {
            self.definition.as_ref().map(field).unwrap_or_default()
        };
        let tone = match self.result {
            "created" | "valid" => Tone::Good,
            "unchanged" => Tone::Faint,
            _ => Tone::Bad,
        };
        vec![
            of(|definition| definition.workflow.clone()).into(),
            of(|definition| short(&definition.definition_hash).to_owned()).into(),
            of(|definition| definition.step_count.to_string()).into(),
            Cell::toned(tone, self.result),
            Cell::from(&self.file),
        ]
    }

    fn id(&self) -> &str {
        self.definition
            .as_ref()
            .map_or("", |definition| &definition.workflow)
    }
}

impl Apply {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let mut applied = Vec::new();
        let mut exit = Exit::Ok;
        for file in &self.files {
            let source = Source::read(file)?;
            let answer = self.send(&connection, &source).await?;
            let findings = source.report(session, &answer.diagnostics);
            let result = if findings.errors > 0 {
                exit = Exit::Usage;
                session.notice().insist(&format!(
                    "{file}: {}; nothing was stored",
                    findings.summary()
                ));
                "refused"
            } else if self.dry_run {
                "valid"
            } else if answer.created {
                "created"
            } else {
                "unchanged"
            };
            applied.push(Applied {
                file: file.clone(),
                definition: answer.definition.as_ref().map(DefinitionView::from),
                result,
                diagnostics: findings.views,
            });
        }
        session.printer().list(&applied)?;
        if let (Exit::Ok, false, [one]) = (exit, self.dry_run, applied.as_slice()) {
            session.notice().next(&format!(
                "fulcrum run start {} --input '{{…}}' --follow",
                one.id()
            ));
        }
        Ok(exit)
    }

    async fn send(
        &self,
        connection: &Connection,
        source: &Source,
    ) -> Result<ApplyDefinitionResponse, CliError> {
        let request = ApplyDefinitionRequest {
            namespace: connection.namespace(),
            source: source.text.clone().into_bytes().into(),
            format: SourceFormat::Unspecified.into(),
            allow_unregistered: self.allow_unregistered,
            validate_only: self.dry_run,
            request_id: request_id::fresh()?,
        };
        Ok(connection
            .definitions()
            .apply_definition(request)
            .await?
            .into_inner())
    }
}
