//! A timeline as one JSON or YAML document, written while it is read: what it holds does not grow with the events.

use serde::Serialize;

use crate::error::CliError;
use crate::output::printer::{Fragment, Printer};
use crate::timeline::chain::Verified;
use crate::view::event::EventView;
use crate::view::run::RunView;

#[derive(Serialize)]
struct Head<'a> {
    run: &'a RunView,
}

#[derive(Serialize)]
struct Foot<'a> {
    verified: &'a Verified,
}

/// `run`, then `events`, then `verified` if it was asked for.
#[derive(Debug)]
pub(super) struct Document {
    written: u64,
}

impl Document {
    pub(super) fn begin(printer: Printer, run: &RunView) -> Result<Self, CliError> {
        printer.fragment(&Fragment::Head(&Head { run }, "events"))?;
        Ok(Self { written: 0 })
    }

    pub(super) fn add(&mut self, printer: Printer, events: &[EventView]) -> Result<(), CliError> {
        for event in events {
            printer.fragment(&Fragment::Item(event, self.written))?;
            self.written += 1;
        }
        Ok(())
    }

    pub(super) fn end(self, printer: Printer, verified: Option<&Verified>) -> Result<(), CliError> {
        let foot = verified.map(|verified| Foot { verified });
        printer.fragment(&Fragment::Foot(foot, self.written))
    }
}
