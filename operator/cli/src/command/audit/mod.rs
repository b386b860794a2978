//! `fulcrum audit …`

mod export;
mod show;
mod verify;

use clap::Subcommand;

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Check that nobody rewrote what happened
///
/// Every commit leaves an entry in the installation log, whose head is signed within a second. Each command here first
/// holds the newest head against the largest one that this identity has seen, which it remembers in `witness.json` beside
/// its key: a log that was taken back or written anew raises an alarm.
#[derive(Debug, Subcommand)]
pub enum Audit {
    Show(show::Show),
    Verify(verify::Verify),
    Export(export::Export),
}

impl Audit {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Audit::Show(show) => Box::pin(show.run(session)).await,
            Audit::Verify(verify) => Box::pin(verify.run(session)).await,
            Audit::Export(export) => Box::pin(export.run(session)).await,
        }
    }
}
