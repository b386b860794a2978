//! `fulcrum run timeline`

use clap::Args;
use fulcrum_proto::workflow::v1::Event;
use serde::Serialize;

use crate::client::events;
use crate::client::follow::{self, Steps};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::style::{Palette, Tone};
use crate::output::{Format, safe_text, time};
use crate::session::Session;
use crate::timeline::chain::{self, Expect, Verified};
use crate::timeline::gantt;
use crate::timeline::shape::Chart;
use crate::timeline::type_id;
use crate::view::event::EventView;
use crate::view::run::RunView;

/// Width of the chart when stdout is no terminal, in columns.
const COLUMNS_DEFAULT: usize = 110;

/// Draw what happened in a run, list its events, or check that nobody changed them
///
/// The chart has one row for each step, to scale. The events tell why each thing happened: CAUSE is the event that led
/// to it. --verify recomputes the hash chain on this machine from the stored bytes; exit code 1 if it does not hold.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum run timeline run_01k…
  fulcrum run timeline run_01k… --events
  fulcrum run timeline run_01k… --verify
  fulcrum run timeline run_01k… -o json | jq '.events[] | select(.kind == \"AttemptFailed\")'")]
pub struct Timeline {
    /// Id of the run
    run: String,

    /// List the events instead of drawing them
    #[arg(short, long)]
    events: bool,

    /// Check the hash chain too
    #[arg(long)]
    verify: bool,

    /// Width of the chart instead of the terminal's
    #[arg(long, value_name = "COLUMNS")]
    width: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Whole<'a> {
    run: &'a RunView,
    events: &'a [EventView],
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<&'a Verified>,
}

impl Timeline {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        // The run first: events that come in between make the timeline longer than the run knows, never shorter.
        let run = follow::get(&connection, &self.run, Steps::Include)
            .await?
            .seen_at(session.now());
        let stored = events::all(&connection, &self.run).await?;
        let views: Vec<_> = stored.iter().map(EventView::from).collect();
        let verified = if self.verify {
            Some(verify(&run, &stored)?)
        } else {
            None
        };
        let printer = session.printer();
        match printer.format {
            Format::Json | Format::Yaml => {
                printer.document(&Whole {
                    run: &run,
                    events: &views,
                    verified: verified.as_ref(),
                })?;
            }
            Format::Table if self.events => printer.list(&views)?,
            Format::Table => printer.line(&self.chart(&run, &views, session))?,
        }
        if let (Format::Table, Some(verified)) = (printer.format, &verified) {
            printer.line(&format!(
                "verified: {} events, head {}",
                verified.events, verified.head
            ))?;
        }
        Ok(Exit::Ok)
    }

    fn chart(&self, run: &RunView, events: &[EventView], session: &Session) -> String {
        let columns = self
            .width
            .or_else(terminal_width)
            .unwrap_or(COLUMNS_DEFAULT);
        draw(
            run,
            events,
            session.now(),
            columns,
            session.printer().palette,
        )
    }
}

/// The chart of a run under one line about it.
#[must_use]
pub fn draw(
    run: &RunView,
    events: &[EventView],
    now: jiff::Timestamp,
    columns: usize,
    palette: Palette,
) -> String {
    let took = run
        .took()
        .map(|took| format!(" in {took}"))
        .unwrap_or_default();
    let started = run.started_at.map(time::instant).unwrap_or_default();
    let head = format!(
        "{}  {}  {}{took}  started {started}, {} events",
        run.run_id,
        run.workflow,
        run.status,
        events.len()
    );
    let head = palette.paint(Tone::Strong, &safe_text::line(&head));
    match Chart::new(run, events, now) {
        Some(chart) => format!("{head}\n{}", gantt::draw(&chart, columns, palette)),
        None => head,
    }
}

/// Checks the chain of a run, here.
///
/// # Errors
/// When it does not hold: [`CliError::CheckFailed`].
pub fn verify(run: &RunView, events: &[Event]) -> Result<Verified, CliError> {
    let id = type_id::decode("run", &run.run_id)
        .ok_or_else(|| CliError::BadAnswer(format!("`{}` is not the id of a run", run.run_id)))?;
    let expect = if run.is_closed() {
        Expect::Closed
    } else {
        Expect::Open
    };
    chain::verify(id, events, expect).map_err(|fault| CliError::CheckFailed {
        message: format!("the timeline of {} does not hold: {fault}", run.run_id),
        fix: "keep a copy of the database before anything else, then compare it with a backup"
            .to_owned(),
    })
}

/// How wide the terminal is; `None` if stdout is none.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}
