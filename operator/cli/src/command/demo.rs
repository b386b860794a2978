//! `fulcrum demo`

use clap::{Args, Subcommand};

use crate::demo::onboarding;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Run an example from end to end and check what it did
///
/// Everything is started fresh, as `fulcrum dev` does it, in a data directory of its own; your contexts are not touched.
#[derive(Debug, Args)]
pub struct Demo {
    #[command(subcommand)]
    example: Example,
}

#[derive(Debug, Subcommand)]
enum Example {
    /// 200 customers: CRM, invoice, welcome mail, and a question to you for the large ones
    Onboarding(Onboarding),
}

/// Options of the onboarding example.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit code 1 when a count is not what it must be.

Examples:
  fulcrum demo onboarding
  fulcrum demo onboarding --keep")]
pub struct Onboarding {
    /// Leave everything running afterwards, with a context `demo`, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
}

impl Demo {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self.example {
            Example::Onboarding(options) => Box::pin(onboarding::run(session, &options)).await,
        }
    }
}
