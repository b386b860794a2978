//! `fulcrum demo onboarding`: 200 customers become 200 runs, and then everything is counted where it was done.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Instant;

use fulcrum_proto::workflow::v1::run_spec::Definition;
use fulcrum_proto::workflow::v1::{ApplyDefinitionRequest, RunSpec, SourceFormat, StartRunRequest};
use fulcrum_sdk::shutdown;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::audit::{self, Story};
use super::billing::Billing;
use super::edge::Edge;
use super::example::{Example, program};
use super::reviewer;
use super::tally::Count;
use crate::client::connection::Connection;
use crate::client::follow::{self, Steps};
use crate::client::{batch, payload, request_id};
use crate::command::demo::Onboarding;
use crate::command::run::csv_rows;
use crate::command::run::timeline::{draw, terminal_width};
use crate::context::store::{Context, Selection};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::printer::Page as _;
use crate::output::progress::Progress;
use crate::output::style::Tone;
use crate::output::table::details;
use crate::output::{Notice, time};
use crate::session::Session;
use crate::stack::StackError;
use crate::stack::ports::Ports;
use crate::stack::start::{Data, Options, Stack};
use crate::view::review::ReviewView;

/// Name of the workflow.
const WORKFLOW: &str = "onboarding";
/// Name of the workflow that counts.
const CHECK: &str = "onboarding-check";
/// Tasks that each worker does at once.
const SLOTS: u32 = 32;
/// Width of the timeline when stdout is no terminal, in columns.
const COLUMNS_DEFAULT: usize = 110;

/// Runs the demonstration.
///
/// # Errors
/// When something does not start, or a call fails. A count that is off is an exit code.
pub async fn run(session: &Session, options: &Onboarding) -> Result<Exit, CliError> {
    let begun = Instant::now();
    let stop = shutdown::on_signal();
    let example = Example::find("onboarding")?;
    let billing_program = program("onboarding-billing")?;
    let dir = example.data_dir("onboarding");
    let notice = session.notice();

    let progress = Progress::spinner(notice, "starting");
    let start = Options {
        dir,
        data: Data::Fresh,
        port: None,
        databases: Vec::new(),
        slots: SLOTS,
    };
    let mut stack = Box::pin(Stack::start(start, |step| progress.set(0, step))).await?;
    drop(progress);
    let scene = Scene {
        session,
        example,
        billing_program,
        begun,
        options,
    };
    let played = {
        // Nothing is left running, however the play ends.
        let play = Box::pin(scene.play(&mut stack, &stop));
        tokio::select! {
            played = play => played,
            () = stop.cancelled() => Ok(Exit::Interrupted),
        }
    };
    let progress = Progress::spinner(notice, "stopping");
    stack.stop(|step| progress.set(0, step)).await;
    played
}

struct Scene<'a> {
    session: &'a Session,
    example: Example,
    billing_program: PathBuf,
    begun: Instant,
    options: &'a Onboarding,
}

impl Scene<'_> {
    async fn play(&self, stack: &mut Stack, stop: &CancellationToken) -> Result<Exit, CliError> {
        let notice = self.session.notice();
        let edge_dir = stack.home().dir().join("edge");
        if edge_dir.exists() {
            std::fs::remove_dir_all(&edge_dir)
                .map_err(|source| CliError::file("delete", &edge_dir, source))?;
        }
        let listen = Ports::anywhere()?.api();
        let edge = Edge::prepare(
            edge_dir.clone(),
            &self.example.file("connector.yaml")?,
            listen,
        )?;
        let billing = Billing::start(&self.billing_program, listen, &edge_dir).await?;
        stack.add_executor().await?;
        stack.add_connector(&edge.config(), None).await?;
        self.say(&format!(
            "PostgreSQL, controller, executor, connector and billing service are up ({})",
            time::span(self.begun.elapsed())
        ));

        let connection = stack.operator().clone();
        self.apply(&connection, "onboarding.yaml").await?;
        self.apply(&connection, "check.yaml").await?;
        let run_ids = self.start_runs(&connection).await?;
        let finished = self.finish(&connection, &run_ids);
        let reviews = tokio::select! {
            reviews = finished => reviews?,
            error = stack.failed() => return Err(failed(error)),
        };

        let progress = Progress::bar(notice, run_ids.len() as u64, "timelines checked");
        let stories = audit::read_all(&connection, &run_ids, |done| {
            progress.set(done, "timelines checked")
        })
        .await?;
        drop(progress);
        let counts = self.count(&connection, &edge, &stories, reviews).await?;
        let exit = self.report(&stories, &counts, &edge)?;
        if self.options.keep {
            self.keep(stack, stop).await?;
        }
        billing.stop().await;
        Ok(exit)
    }

    /// Applies one of the example's workflows.
    async fn apply(&self, connection: &Connection, file: &str) -> Result<(), CliError> {
        let source =
            crate::command::source::Source::read(&self.example.file(file)?.display().to_string())?;
        let request = ApplyDefinitionRequest {
            namespace: connection.namespace(),
            source: source.text.clone().into_bytes().into(),
            format: SourceFormat::Unspecified.into(),
            allow_unregistered: false,
            validate_only: false,
            request_id: request_id::fresh()?,
        };
        let answer = connection
            .definitions()
            .apply_definition(request)
            .await?
            .into_inner();
        let findings = source.report(self.session, &answer.diagnostics);
        match answer.definition {
            Some(definition) => {
                self.say(&format!(
                    "applied {} ({} steps)",
                    definition.workflow, definition.step_count
                ));
                Ok(())
            }
            None => Err(CliError::CheckFailed {
                message: format!("{file} was refused: {}", findings.summary()),
                fix: "correct the example".to_owned(),
            }),
        }
    }

    /// One run for each customer, keyed by address, so that a customer is never onboarded twice.
    async fn start_runs(&self, connection: &Connection) -> Result<Vec<String>, CliError> {
        let customers = self.example.file("customers.csv")?;
        let rows = csv_rows::read(&customers, Some("email"))?;
        let spec = |row: csv_rows::InputRow| RunSpec {
            definition: Some(Definition::Workflow(WORKFLOW.to_owned())),
            input: Some(payload::from_json(&row.input)),
            idempotency_key: row.key,
        };
        let begun = Instant::now();
        let started = batch::start(connection, rows.into_iter().map(spec).collect()).await?;
        if let Some(refused) = started.iter().find(|row| row.error.is_some()) {
            return Err(CliError::CheckFailed {
                message: format!(
                    "row {} was refused: {}",
                    refused.row,
                    refused.error.as_deref().unwrap_or_default()
                ),
                fix: "correct the example".to_owned(),
            });
        }
        let (count, took) = (started.len(), time::span(begun.elapsed()));
        self.say(&format!(
            "started {count} runs from {} in {took}",
            customers.display()
        ));
        Ok(started.into_iter().map(|row| row.run_id).collect())
    }

    /// Waits for all runs while the operator decides what they ask; says how much that was.
    async fn finish(&self, connection: &Connection, run_ids: &[String]) -> Result<u64, CliError> {
        let notice = self.session.notice();
        let begun = Instant::now();
        let progress = Progress::bar(notice, run_ids.len() as u64, "runs closed");
        let reviews = Cell::new(0);
        let review = reviewer::approve_all(
            connection,
            |first| progress.say(notice, &question(first, notice)),
            |count| reviews.set(count),
        );
        let wait = batch::wait(connection, run_ids.iter().map(String::as_str), |tally| {
            progress.set(
                tally.closed(),
                &format!("{}, {} reviews approved", tally.remark(), reviews.get()),
            );
        });
        let tally = tokio::select! {
            tally = wait => tally?,
            ended = review => {
                ended?;
                return Err(CliError::BadAnswer("the inbox ended".to_owned()));
            }
        };
        drop(progress);
        let took = time::span(begun.elapsed());
        self.say(&format!(
            "{} of {} runs completed in {took}; {} reviews approved",
            tally.completed,
            tally.total,
            reviews.get()
        ));
        Ok(reviews.get())
    }

    /// Counts where the work was done: the CRM and the billing service through a workflow of their own, the outbox on
    /// disk, the rest on the timelines.
    async fn count(
        &self,
        connection: &Connection,
        edge: &Edge,
        stories: &[Story],
        reviews: u64,
    ) -> Result<Vec<Count>, CliError> {
        let customers = stories.len() as u64;
        let asked = stories.iter().filter(|story| is_enterprise(story)).count() as u64;
        let completed = stories
            .iter()
            .filter(|story| story.run.status() == fulcrum_proto::workflow::v1::RunStatus::Completed)
            .count() as u64;
        let outside = check(connection).await?;
        let number = |name: &str| {
            outside
                .get(name)
                .and_then(Value::as_u64)
                .unwrap_or(u64::MAX)
        };
        let (mails, recipients) = edge.mails()?;
        Ok(vec![
            Count::exactly("runs completed", completed, customers),
            Count::exactly("contacts in the CRM", number("contacts"), customers),
            Count::exactly(
                "invoices at the billing service",
                number("invoices"),
                customers,
            ),
            Count::exactly(
                "customers with an invoice",
                number("billed_customers"),
                customers,
            ),
            Count::exactly("mails in the outbox", mails, customers),
            Count::exactly("customers with a mail", recipients, customers),
            Count::exactly("reviews approved", reviews, asked),
            Count::any(
                "requests the billing service saw",
                number("billing_requests"),
            ),
        ])
    }

    fn report(&self, stories: &[Story], counts: &[Count], edge: &Edge) -> Result<Exit, CliError> {
        let printer = self.session.printer();
        if let Some(story) = audit::most_eventful(stories) {
            let columns = terminal_width().unwrap_or(COLUMNS_DEFAULT);
            let chart = draw(
                &story.run,
                &story.events,
                self.session.now(),
                columns,
                self.session.notice().palette,
            );
            self.say(&format!("\n{chart}\n"));
        }
        printer.list(counts)?;
        let retries = audit::retries(stories);
        let total: u64 = retries.values().sum();
        let codes: Vec<_> = retries
            .iter()
            .map(|(code, count)| format!("{count}× {code}"))
            .collect();
        self.say(&format!("\nretries: {total} ({})", codes.join(", ")));
        let events: usize = stories.iter().map(|story| story.events.len()).sum();
        self.say(&format!(
            "audit: {} timelines verified, {events} events",
            stories.len()
        ));
        self.say(&format!("outbox: {}", edge.outbox().display()));
        let palette = self.session.notice().palette;
        let wrong = counts.iter().filter(|count| !count.holds()).count();
        let elapsed = time::span(self.begun.elapsed());
        if wrong == 0 {
            self.say(&format!(
                "{} in {elapsed}",
                palette.paint(Tone::Good, "all counts hold")
            ));
            Ok(Exit::Ok)
        } else {
            self.session.notice().insist(&format!(
                "{} after {elapsed}",
                palette.paint(Tone::Bad, &format!("{wrong} counts are off"))
            ));
            Ok(Exit::Failed)
        }
    }

    /// Leaves everything running, for a look around.
    async fn keep(&self, stack: &mut Stack, stop: &CancellationToken) -> Result<(), CliError> {
        let target = stack.operator().target();
        let entry = Context {
            address: target.address.clone(),
            identity: target.identity.clone(),
            namespace: target.namespace.clone(),
        };
        self.session.store()?.put("demo", entry, Selection::Keep)?;
        self.say("\nEverything is left running; Ctrl-C stops it. In another terminal:");
        self.say("  fulcrum --context demo run list");
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            error = stack.failed() => Err(failed(error)),
        }
    }

    fn say(&self, text: &str) {
        self.session.notice().say(text);
    }
}

/// The first review, as `fulcrum review show` shows it.
fn question(review: &ReviewView, notice: &Notice) -> String {
    let shown = details(&review.pairs(), notice.palette);
    let indented: Vec<_> = shown.lines().map(|line| format!("  {line}")).collect();
    format!(
        "the first question to the operator:\n{}",
        indented.join("\n")
    )
}

fn is_enterprise(story: &Story) -> bool {
    story
        .run
        .input
        .as_ref()
        .and_then(|input| input.get("plan"))
        .and_then(Value::as_str)
        == Some("enterprise")
}

fn failed(error: StackError) -> CliError {
    CliError::Stack(error)
}

/// Runs the workflow that counts, and gives its output.
async fn check(connection: &Connection) -> Result<Value, CliError> {
    let request = StartRunRequest {
        namespace: connection.namespace(),
        spec: Some(RunSpec {
            definition: Some(Definition::Workflow(CHECK.to_owned())),
            ..RunSpec::default()
        }),
        request_id: request_id::fresh()?,
        wait: None,
    };
    let started = connection.runs().start_run(request).await?.into_inner();
    let id = started
        .run
        .ok_or_else(|| CliError::BadAnswer("it names no run".to_owned()))?
        .run_id;
    follow::to_end(connection, &id, Steps::Omit, |_| Ok(())).await?;
    let run = follow::get(connection, &id, Steps::Omit).await?;
    run.output.ok_or_else(|| CliError::CheckFailed {
        message: run.failure.map_or_else(
            || "counting gave nothing".to_owned(),
            |failure| failure.brief(),
        ),
        fix: "the counting workflow is examples/onboarding/check.yaml".to_owned(),
    })
}
