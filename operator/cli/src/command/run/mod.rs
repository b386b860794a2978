//! `fulcrum run`: one file for each of its commands.

use clap::Subcommand;

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

pub mod cancel;
pub mod csv_rows;
mod document;
pub mod get;
pub mod list;
pub mod signal;
pub mod start;
pub mod timeline;
pub mod waiting;
pub mod watch;

/// Start runs, follow them, steer them
#[derive(Debug, Subcommand)]
pub enum Run {
    Start(start::Start),
    Get(get::Get),
    List(list::List),
    Watch(watch::Watch),
    Timeline(timeline::Timeline),
    Signal(signal::Signal),
    Cancel(cancel::Cancel),
}

impl Run {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Run::Start(start) => start.run(session).await,
            Run::Get(get) => get.run(session).await,
            Run::List(list) => list.run(session).await,
            Run::Watch(watch) => watch.run(session).await,
            Run::Timeline(timeline) => timeline.run(session).await,
            Run::Signal(signal) => signal.run(session).await,
            Run::Cancel(cancel) => cancel.run(session).await,
        }
    }
}
