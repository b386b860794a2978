//! `fulcrum run start`

use std::path::PathBuf;

use clap::Args;
use fulcrum_proto::common::v1::Payload;
use fulcrum_proto::workflow::v1::run_spec::Definition;
use fulcrum_proto::workflow::v1::{RunSpec, StartRunRequest};

use super::csv_rows;
use super::waiting::{self, Waited};
use crate::client::connection::Connection;
use crate::client::{batch, events, payload, request_id, transfer};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Format;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::view::event::EventView;
use crate::view::run::RunView;
use crate::view::started::StartedView;

/// Start a run, or one run for each row of a file
///
/// When this returns, the run is durable: it goes on whatever happens to this program, the workers or the controller.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Columns of a CSV file become the fields of the input. A column is text unless its title says otherwise: `seats:int`,
`rate:number`, `vip:bool`, `tags:json`. An empty cell of a typed column is null.

Examples:
  fulcrum run start onboarding --input '{\"email\": \"ada@example.com\", \"name\": \"Ada\", \"plan\": \"free\"}' --follow
  fulcrum run start onboarding --input @ada.json --key ada@example.com --wait -o json | jq .output
  fulcrum run start onboarding --csv customers.csv --key-column email --wait")]
pub struct Start {
    /// Name of the workflow; its current version is run
    #[arg(required_unless_present = "definition")]
    workflow: Option<String>,

    /// Run the version with this full hash instead of the current one
    #[arg(long, value_name = "HASH", conflicts_with = "workflow")]
    definition: Option<String>,

    /// Input as JSON, @FILE, or - for stdin
    #[arg(short, long, value_name = "JSON", conflicts_with = "csv")]
    input: Option<String>,

    /// Start one run for each row of this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Your own key for the run: starting again with it gives the first run
    #[arg(long, value_name = "KEY", conflicts_with = "csv")]
    key: Option<String>,

    /// Column that holds the key of each row
    #[arg(long, value_name = "TITLE", requires = "csv")]
    key_column: Option<String>,

    /// Wait for the end; the exit code tells how it ended
    #[arg(short, long)]
    wait: bool,

    /// Wait for the end, showing what happens
    #[arg(short, long, conflicts_with = "csv")]
    follow: bool,
}

impl Start {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match &self.csv {
            Some(path) => {
                let rows = csv_rows::read(path, self.key_column.as_deref())?;
                let specs = rows
                    .into_iter()
                    .map(|row| self.spec(Some(payload::from_json(&row.input)), row.key));
                self.many(session, specs.collect()).await
            }
            None => {
                let input = self
                    .input
                    .as_deref()
                    .map(|input| payload::read("--input", input))
                    .transpose()?;
                let spec = self.spec(input, self.key.clone().unwrap_or_default());
                self.one(session, spec).await
            }
        }
    }

    fn spec(&self, input: Option<Payload>, idempotency_key: String) -> RunSpec {
        let definition = match (&self.workflow, &self.definition) {
            (_, Some(hash)) => Some(Definition::DefinitionHash(hash.clone())),
            (workflow, None) => workflow.clone().map(Definition::Workflow),
        };
        RunSpec {
            definition,
            input,
            idempotency_key,
        }
    }

    async fn one(&self, session: &Session, mut spec: RunSpec) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        spec.input = transfer::lighten(&connection, spec.input).await?;
        let request = StartRunRequest {
            namespace: connection.namespace(),
            spec: Some(spec),
            request_id: request_id::fresh()?,
            wait: None,
        };
        let answer = connection.runs().start_run(request).await?.into_inner();
        let run = answer
            .run
            .ok_or_else(|| CliError::BadAnswer("it names no run".to_owned()))?;
        let notice = session.notice();
        if !answer.created {
            notice.say("the key was used before; this is the run it started");
        }
        if self.follow {
            return follow(session, &connection, &run.run_id).await;
        }
        if self.wait {
            notice.say(&format!("started {}", run.run_id));
            return waiting::to_end(session, &connection, &run.run_id).await;
        }
        session.printer().page(&RunView::from(&run))?;
        notice.next(&format!("fulcrum run watch {}", run.run_id));
        Ok(Exit::Ok)
    }

    async fn many(&self, session: &Session, specs: Vec<RunSpec>) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let notice = session.notice();
        let total = specs.len();
        let started = batch::start(&connection, specs).await?;
        session.printer().list(&started)?;
        let refused = started.iter().filter(|row| row.error.is_some()).count();
        notice.say(&format!("{} of {total} runs started", total - refused));
        let mut exit = if refused == 0 { Exit::Ok } else { Exit::Failed };
        if self.wait {
            exit = worse(exit, wait_for_all(session, &connection, &started).await?);
        }
        Ok(exit)
    }
}

/// Shows events as they come, then the run as it ended.
async fn follow(
    session: &Session,
    connection: &Connection,
    run_id: &str,
) -> Result<Exit, CliError> {
    let printer = session.printer();
    let tell = |event: &fulcrum_proto::workflow::v1::Event| {
        let view = EventView::from(event);
        match printer.format {
            Format::Table => {
                session.notice().say(&view.line(session.notice().palette));
            }
            Format::Json | Format::Yaml => printer.item(&view, "")?,
        }
        Ok(())
    };
    session.notice().say(&format!("started {run_id}"));
    match waiting::interruptible(events::follow(connection, run_id, tell)).await? {
        Waited::Interrupted => Ok(waiting::left_alone(session, run_id)),
        Waited::Done(()) => match printer.format {
            Format::Table => waiting::to_end(session, connection, run_id).await,
            Format::Json | Format::Yaml => {
                let run = crate::client::follow::get(
                    connection,
                    run_id,
                    crate::client::follow::Steps::Omit,
                )
                .await?;
                Ok(waiting::ended(session, &run))
            }
        },
    }
}

async fn wait_for_all(
    session: &Session,
    connection: &Connection,
    started: &[StartedView],
) -> Result<Exit, CliError> {
    let ids = || {
        started
            .iter()
            .map(|row| row.run_id.as_str())
            .filter(|id| !id.is_empty())
    };
    let progress = Progress::bar(session.notice(), ids().count() as u64, "runs closed");
    let wait = batch::wait(connection, ids(), |tally| {
        progress.set(tally.closed(), &tally.remark())
    });
    let waited = waiting::interruptible(wait).await?;
    drop(progress);
    match waited {
        Waited::Interrupted => {
            session
                .notice()
                .say("\nthe runs go on; nothing was cancelled");
            session.notice().next("fulcrum run list");
            Ok(Exit::Interrupted)
        }
        Waited::Done(tally) => {
            session.notice().say(&format!(
                "{} of {} {}",
                tally.closed(),
                tally.total,
                tally.remark()
            ));
            Ok(if tally.completed == tally.total {
                Exit::Ok
            } else {
                Exit::Failed
            })
        }
    }
}

fn worse(a: Exit, b: Exit) -> Exit {
    if a == Exit::Ok { b } else { a }
}
