//! Waiting for runs: with progress, and so that Ctrl-C leaves them alone.

use std::future::Future;

use crate::client::connection::Connection;
use crate::client::follow::{self, Steps};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::progress::Progress;
use crate::session::Session;
use crate::view::run::RunView;
use crate::view::word::Word as _;
use fulcrum_proto::workflow::v1::RunStatus;

/// How a wait ended.
#[derive(Debug)]
pub enum Waited<T> {
    /// What was waited for came.
    Done(T),
    /// Ctrl-C.
    Interrupted,
}

/// Waits, unless Ctrl-C comes first.
///
/// # Errors
/// Those of what is waited for.
pub async fn interruptible<T>(
    wait: impl Future<Output = Result<T, CliError>>,
) -> Result<Waited<T>, CliError> {
    tokio::select! {
        outcome = wait => outcome.map(Waited::Done),
        signal = tokio::signal::ctrl_c() => signal
            .map(|()| Waited::Interrupted)
            .map_err(|source| CliError::Io { what: "cannot listen for Ctrl-C".to_owned(), source }),
    }
}

/// Waits for a run's end behind a spinner, prints the run as it ended, and gives the exit code that says how.
///
/// # Errors
/// When the run cannot be watched.
pub async fn to_end(
    session: &Session,
    connection: &Connection,
    run_id: &str,
) -> Result<Exit, CliError> {
    let progress = Progress::spinner(session.notice(), &format!("{run_id} running"));
    let follow = follow::to_end(connection, run_id, Steps::Omit, |run| {
        progress.set(0, &standing(run));
        Ok(())
    });
    match interruptible(follow).await? {
        Waited::Done(_) => {
            drop(progress);
            // The watch leaves payloads out; the run itself has them.
            let run = follow::get(connection, run_id, Steps::Omit).await?;
            session.printer().page(&run)?;
            Ok(ended(session, &run))
        }
        Waited::Interrupted => {
            drop(progress);
            Ok(left_alone(session, run_id))
        }
    }
}

/// Where a run stands, on one line.
#[must_use]
pub fn standing(run: &RunView) -> String {
    if run.waiting_for.is_empty() {
        format!("{} {}", run.run_id, run.status)
    } else {
        format!(
            "{} {}, waits for {}",
            run.run_id, run.status, run.waiting_for
        )
    }
}

/// The exit code of a run that has ended, and where to look if it did not complete.
#[must_use]
pub fn ended(session: &Session, run: &RunView) -> Exit {
    if run.status() == RunStatus::Completed {
        return Exit::Ok;
    }
    let failure = run
        .failure
        .as_ref()
        .map(|failure| format!(": {}", failure.brief()))
        .unwrap_or_default();
    let notice = session.notice();
    notice.warn(&crate::output::safe_text::line(&format!(
        "{} {}{failure}",
        run.run_id,
        run.status().word()
    )));
    notice.next(&format!("fulcrum run timeline {}", run.run_id));
    Exit::Failed
}

/// What is said after Ctrl-C.
#[must_use]
pub fn left_alone(session: &Session, run_id: &str) -> Exit {
    let notice = session.notice();
    notice.say(&format!("\n{run_id} goes on; nothing was cancelled"));
    notice.next(&format!("fulcrum run watch {run_id}"));
    Exit::Interrupted
}
