//! `fulcrum run get`

use clap::Args;

use crate::client::follow::{self, Steps};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Format;
use crate::output::printer::Detail;
use crate::session::Session;

/// Show a run: where it stands, its input, its output, its steps
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum run get run_01k…
  fulcrum run get run_01k… -o json | jq .output")]
pub struct Get {
    /// Id of the run
    run: String,
}

impl Get {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let run = follow::get(&connection, &self.run, Steps::Include)
            .await?
            .seen_at(session.now());
        let printer = session.printer();
        printer.page(&run)?;
        if printer.format == Format::Table
            && printer.detail == Detail::Full
            && !run.steps.is_empty()
        {
            printer.line("")?;
            printer.list(&run.steps)?;
        }
        Ok(Exit::Ok)
    }
}
