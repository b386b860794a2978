//! `fulcrum run timeline`

use clap::Args;
use fulcrum_proto::workflow::v1::Event;
use uuid::Uuid;

use super::document::Document;
use crate::client::events;
use crate::client::follow::{self, Steps};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::style::{Palette, Tone};
use crate::output::{Format, safe_text, time};
use crate::session::Session;
use crate::timeline::chain::{self, Chain, ChainFault, Expect, Verified};
use crate::timeline::gantt;
use crate::timeline::shape::{Chart, Sketch};
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

impl Timeline {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        // The run first: events that come in between make the timeline longer than the run knows, never shorter.
        let run = follow::get(&connection, &self.run, Steps::Include)
            .await?
            .seen_at(session.now());
        let printer = *session.printer();
        let mut chain = if self.verify {
            Some(Chain::new(uuid_of(&run)?))
        } else {
            None
        };
        let mut teller = match printer.format {
            Format::Json | Format::Yaml => Teller::Document(Document::begin(printer, &run)?),
            Format::Table if self.events => Teller::List,
            Format::Table => Teller::Chart(Sketch::new(&run), 0),
        };
        // A page is told before the next one is asked for: a timeline may be longer than memory.
        events::pages(&connection, &self.run, |page| {
            if let Some(chain) = &mut chain {
                for event in &page {
                    chain
                        .add(event)
                        .map_err(|fault| does_not_hold(&run, &fault))?;
                }
            }
            let views: Vec<_> = page.iter().map(EventView::from).collect();
            drop(page);
            match &mut teller {
                Teller::Document(document) => document.add(printer, &views),
                Teller::List => printer.list(&views),
                Teller::Chart(sketch, events) => {
                    views.iter().for_each(|view| sketch.add(view));
                    *events += views.len() as u64;
                    Ok(())
                }
            }
        })
        .await?;
        let verified = chain
            .map(|chain| chain.finish(expect(&run)))
            .transpose()
            .map_err(|fault| does_not_hold(&run, &fault))?;
        match teller {
            Teller::Document(document) => {
                return document.end(printer, verified.as_ref()).map(|()| Exit::Ok);
            }
            Teller::List => {}
            Teller::Chart(sketch, events) => {
                let columns = self
                    .width
                    .or_else(terminal_width)
                    .unwrap_or(COLUMNS_DEFAULT);
                let chart = sketch.finish(session.now());
                printer.line(&draw_chart(&run, chart, events, columns, printer.palette))?;
            }
        }
        if let Some(verified) = &verified {
            printer.line(&format!(
                "verified: {} events, head {}",
                verified.events, verified.head
            ))?;
        }
        Ok(Exit::Ok)
    }
}

/// What becomes of the events as they come.
enum Teller<'r> {
    Document(Document),
    List,
    /// And how many there were.
    Chart(Sketch<'r>, u64),
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
    let chart = Chart::new(run, events, now);
    draw_chart(run, chart, events.len() as u64, columns, palette)
}

fn draw_chart(
    run: &RunView,
    chart: Option<Chart>,
    events: u64,
    columns: usize,
    palette: Palette,
) -> String {
    let took = run
        .took()
        .map(|took| format!(" in {took}"))
        .unwrap_or_default();
    let started = run.started_at.map(time::instant).unwrap_or_default();
    let head = format!(
        "{}  {}  {}{took}  started {started}, {events} events",
        run.run_id, run.workflow, run.status,
    );
    let head = palette.paint(Tone::Strong, &safe_text::line(&head));
    match chart {
        Some(chart) => format!("{head}\n{}", gantt::draw(&chart, columns, palette)),
        None => head,
    }
}

/// Checks the chain of a run, here.
///
/// # Errors
/// When it does not hold: [`CliError::CheckFailed`].
pub fn verify(run: &RunView, events: &[Event]) -> Result<Verified, CliError> {
    let id = uuid_of(run)?;
    chain::verify(id, events, expect(run)).map_err(|fault| does_not_hold(run, &fault))
}

fn uuid_of(run: &RunView) -> Result<Uuid, CliError> {
    type_id::decode("run", &run.run_id)
        .ok_or_else(|| CliError::BadAnswer(format!("`{}` is not the id of a run", run.run_id)))
}

fn expect(run: &RunView) -> Expect {
    if run.is_closed() {
        Expect::Closed
    } else {
        Expect::Open
    }
}

fn does_not_hold(run: &RunView, fault: &ChainFault) -> CliError {
    CliError::CheckFailed {
        message: format!("the timeline of {} does not hold: {fault}", run.run_id),
        fix: "keep a copy of the database before anything else, then compare it with a backup"
            .to_owned(),
    }
}

/// How wide the terminal is; `None` if stdout is none.
#[must_use]
pub fn terminal_width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from)
}
