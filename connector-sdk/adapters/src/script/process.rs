//! A child process in a group of its own, bounded in time and output.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

/// Bytes of standard error that are kept: its end, where the reason stands.
const STDERR_BYTES_MAX: usize = 2 * 1024;

/// What a process left behind.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// A process that did not get to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProcessError {
    #[error("cannot start: {0}")]
    NotStarted(#[source] io::Error),
    #[error("lost it: {0}")]
    Lost(#[source] io::Error),
    #[error("it wrote more than {0} bytes to standard output and was ended")]
    TooMuchOutput(usize),
    #[error("it did not end in time and was ended; standard error: {0}")]
    Timeout(String),
}

/// Limits of one run.
pub(super) struct Limits {
    pub(super) deadline: Instant,
    pub(super) kill_after: Duration,
    pub(super) stdout_bytes_max: usize,
}

/// Starts `command`, writes `input` to it and waits for its end. Dropping the future kills the group.
pub(super) async fn run(
    mut command: Command,
    input: Vec<u8>,
    limits: &Limits,
) -> Result<Finished, ProcessError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(ProcessError::NotStarted)?;
    let group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

    let mut kept = Tail::default();
    let work = async {
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program that does not read its input is not at fault.
                let _ = stdin.write_all(&input).await;
            }
            Ok(())
        };
        let ((), stdout, ()) = tokio::try_join!(
            feed,
            bounded(stdout, limits.stdout_bytes_max),
            kept.fill(stderr)
        )?;
        let status = child.wait().await.map_err(ProcessError::Lost)?;
        Ok((status, stdout))
    };
    let finished = tokio::time::timeout_at(limits.deadline, work).await;
    match finished {
        Ok(Ok((status, stdout))) => Ok(Finished {
            status,
            stdout,
            stderr: kept.text(),
        }),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            group.ask_to_end();
            let _ = tokio::time::timeout(limits.kill_after, child.wait()).await;
            Err(ProcessError::Timeout(kept.text()))
        }
    }
}

/// The group of a child; killed when dropped, so that nothing the child started outlives the call.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self(pid)
    }

    fn ask_to_end(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // An error means that nobody is left in the group.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn bounded(
    pipe: Option<impl AsyncRead + Unpin>,
    bytes_max: usize,
) -> Result<Vec<u8>, ProcessError> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let limit = u64::try_from(bytes_max)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        pipe.take(limit)
            .read_to_end(&mut bytes)
            .await
            .map_err(ProcessError::Lost)?;
    }
    if bytes.len() > bytes_max {
        return Err(ProcessError::TooMuchOutput(bytes_max));
    }
    Ok(bytes)
}

/// The end of standard error.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    async fn fill(&mut self, pipe: Option<impl AsyncRead + Unpin>) -> Result<(), ProcessError> {
        let Some(mut pipe) = pipe else {
            return Ok(());
        };
        let mut chunk = [0_u8; 4096];
        loop {
            let read = pipe.read(&mut chunk).await.map_err(ProcessError::Lost)?;
            if read == 0 {
                return Ok(());
            }
            self.0.extend_from_slice(&chunk[..read]);
            let excess = self.0.len().saturating_sub(STDERR_BYTES_MAX);
            self.0.drain(..excess);
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim().to_owned()
    }
}
