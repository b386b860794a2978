//! `fulcrum audit export`

use std::path::PathBuf;

use clap::Args;

use crate::audit::bundle::Writer;
use crate::audit::judge::{Judge, Of};
use crate::audit::live;
use crate::audit::recorded::Recorded;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::progress::Progress;
use crate::session::Session;

/// Write the whole record to one file, which `audit verify --file` checks anywhere
///
/// The file holds every timeline that is kept, in all namespaces, and the installation log with its signed heads; inputs
/// and outputs are in it as hashes only. It has its name only once it is complete.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum audit export record-2026-11.jsonl
  fulcrum audit verify --file record-2026-11.jsonl")]
pub struct Export {
    /// The file to write
    file: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

impl Export {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        if self.file.exists() && !self.force {
            return Err(CliError::usage(
                format!("{} exists", self.file.display()),
                "name another file, or replace it with --force",
            ));
        }
        let connection = session.connect().await?;
        let seen = live::look(&connection).await?;
        let progress = Progress::spinner(session.notice(), "reading timelines");
        let size_before = seen.head.size;
        let mut writer = Writer::begin(&self.file, &seen.verifier, size_before, session.now())?;
        let mut judge = Judge::new(Recorded::until(size_before));
        let mut runs = 0u64;
        live::timelines(&connection, Vec::new(), |part| {
            judge.add(&part);
            runs += u64::from(part.last);
            progress.set(runs, &format!("{runs} timelines"));
            writer.timeline(&part)
        })
        .await?;
        // The log comes after the timelines, so that all of their events are in it.
        let judge = std::cell::RefCell::new(judge);
        live::follow(
            &connection,
            0,
            |part| {
                let mut judge = judge.borrow_mut();
                if let Err(finding) = judge.recorded().add(&part, &seen.verifier) {
                    judge.find(finding);
                }
                progress.set(judge.recorded().size(), "entries of the log");
                writer.log(&part)
            },
            || judge.borrow_mut().has_caught_up(),
        )
        .await?;
        writer.end()?;
        drop(progress);
        let mut judge = judge.into_inner();
        let size = judge.recorded().size();
        let (tally, _) = judge.verdict(Of::Some);
        session.notice().say(&format!(
            "wrote {}: {} timelines with {} events, {size} entries of the log\nit is signed by {}",
            self.file.display(),
            tally.runs,
            tally.events,
            seen.verifier
        ));
        Ok(Exit::Ok)
    }
}
