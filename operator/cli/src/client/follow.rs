//! Following a run to its end, across controllers that come and go.

use std::time::Duration;

use fulcrum_proto::workflow::v1::{GetRunRequest, Run, WatchRunRequest};
use fulcrum_sdk::transfer::WHOLE_BYTES_MAX;
use tonic::Code;

use super::connection::Connection;
use super::transfer;
use crate::error::CliError;
use crate::view::run::RunView;

/// How often a lost connection is sought again, in a row, before that is an error.
const ATTEMPTS_MAX: u32 = 8;
/// First and longest wait between them.
const BACKOFF: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Whether each step is told too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// They are.
    Include,
    /// They are not.
    Omit,
}

/// One run as it is now.
///
/// # Errors
/// When the call is refused.
pub async fn get(connection: &Connection, run_id: &str, steps: Steps) -> Result<RunView, CliError> {
    let request = GetRunRequest {
        namespace: connection.namespace(),
        run_id: run_id.to_owned(),
        include_steps: steps == Steps::Include,
        whole_bytes_max: WHOLE_BYTES_MAX as u64,
    };
    let mut answer = connection.runs().get_run(request).await?.into_inner();
    // Outputs of steps that are so large are told by their size: there may be a thousand of them.
    if let Some(run) = &mut answer.run {
        let payloads = run.output.iter_mut().chain(run.input.iter_mut());
        transfer::whole(connection, payloads).await?;
    }
    view(answer.run)
}

/// Follows a run until it is closed, telling each change, and gives it as it ended.
///
/// # Errors
/// When the run cannot be watched, or the controller stays away.
pub async fn to_end(
    connection: &Connection,
    run_id: &str,
    steps: Steps,
    mut changed: impl FnMut(&RunView) -> Result<(), CliError>,
) -> Result<RunView, CliError> {
    let mut version = 0;
    let mut lost = Lost::default();
    loop {
        match watch(connection, run_id, steps, &mut version, &mut changed).await {
            Ok(Some(run)) => return Ok(run),
            // The stream ended early, as it may when a controller drains.
            Ok(None) => lost.wait().await.map_err(|()| gone(connection))?,
            Err(Broken::Call(status)) if status.code() == Code::Unavailable => {
                if lost.wait().await.is_err() {
                    return Err(status.into());
                }
            }
            Err(Broken::Call(status)) => return Err(status.into()),
            Err(Broken::Told(error)) => return Err(error),
        }
    }
}

enum Broken {
    Call(tonic::Status),
    Told(CliError),
}

async fn watch(
    connection: &Connection,
    run_id: &str,
    steps: Steps,
    version: &mut u64,
    changed: &mut impl FnMut(&RunView) -> Result<(), CliError>,
) -> Result<Option<RunView>, Broken> {
    let request = WatchRunRequest {
        namespace: connection.namespace(),
        run_id: run_id.to_owned(),
        after_version: *version,
        include_steps: steps == Steps::Include,
    };
    let mut stream = connection
        .runs()
        .watch_run(request)
        .await
        .map_err(Broken::Call)?
        .into_inner();
    while let Some(answer) = stream.message().await.map_err(Broken::Call)? {
        let run = view(answer.run).map_err(Broken::Told)?;
        *version = run.version;
        changed(&run).map_err(Broken::Told)?;
        if run.is_closed() {
            return Ok(Some(run));
        }
    }
    Ok(None)
}

fn view(run: Option<Run>) -> Result<RunView, CliError> {
    run.as_ref()
        .map(RunView::from)
        .ok_or_else(|| CliError::BadAnswer("it names no run".to_owned()))
}

fn gone(connection: &Connection) -> CliError {
    CliError::Unreachable {
        address: connection.target().address.clone(),
        cause: "the controller keeps ending the stream".to_owned(),
    }
}

/// How long the controller has been away.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    attempts: u32,
}

impl Lost {
    /// Waits before the next attempt; an error once there were enough.
    pub(crate) async fn wait(&mut self) -> Result<(), ()> {
        if self.attempts == ATTEMPTS_MAX {
            return Err(());
        }
        let delay = BACKOFF.saturating_mul(1 << self.attempts).min(BACKOFF_MAX);
        self.attempts += 1;
        tokio::time::sleep(delay).await;
        Ok(())
    }
}
