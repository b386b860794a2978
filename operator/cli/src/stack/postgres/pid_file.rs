//! `postmaster.pid`: what PostgreSQL writes about itself while it runs, and leaves behind when it or the machine crashes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::stack::error::StackError;

/// How long an orphan may take to end before it is told more firmly.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidFile {
    path: PathBuf,
    /// The server.
    pub pid: i32,
    /// Whether it accepts connections.
    pub is_ready: bool,
}

impl PidFile {
    /// Reads the file of a data directory; `None` if there is none or it is not complete.
    #[must_use]
    pub fn read(data: &Path) -> Option<Self> {
        let path = data.join("postmaster.pid");
        let text = fs::read_to_string(&path).ok()?;
        let (pid, is_ready) = parse(&text)?;
        Some(Self {
            path,
            pid,
            is_ready,
        })
    }

    /// Ends what an earlier stack left: an orphaned server is stopped; a file whose server is gone is deleted, because
    /// its number may belong to anybody by now.
    ///
    /// # Errors
    /// When the server does not end or the file cannot be deleted.
    pub async fn recover(data: &Path) -> Result<(), StackError> {
        let Some(left) = PidFile::read(data) else {
            return Ok(());
        };
        let pid = Pid::from_raw(left.pid).filter(|pid| is_server_of(*pid, data));
        if let Some(pid) = pid {
            tracing::warn!(
                pid = left.pid,
                "stopping a PostgreSQL that an earlier process left"
            );
            stop(pid).await?;
        }
        match fs::remove_file(&left.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StackError::file("delete", left.path, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Line 1 is the process id, line 8 the state.
fn parse(text: &str) -> Option<(i32, bool)> {
    let pid = text.lines().next()?.trim().parse().ok()?;
    Some((
        pid,
        text.lines()
            .nth(7)
            .is_some_and(|state| state.trim() == "ready"),
    ))
}

/// Fast shutdown; immediate, if that takes too long.
async fn stop(pid: Pid) -> Result<(), StackError> {
    for signal in [Signal::INT, Signal::QUIT] {
        match kill_process(pid, signal) {
            Ok(()) => {}
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => {
                return Err(StackError::Io {
                    what: format!("cannot stop process {pid:?}"),
                    source: error.into(),
                });
            }
        }
        let gone = async {
            while test_kill_process(pid).is_ok() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(PATIENCE, gone).await.is_ok() {
            return Ok(());
        }
    }
    Err(StackError::Io {
        what: format!("process {pid:?} does not end"),
        source: io::Error::from(io::ErrorKind::TimedOut),
    })
}

/// Whether a process is a PostgreSQL that runs in this directory. Where the system does not tell, being alive must do.
fn is_server_of(pid: Pid, data: &Path) -> bool {
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    let process = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    match fs::read_link(process.join("cwd")) {
        // A postmaster's working directory is its data directory.
        Ok(cwd) => data.canonicalize().is_ok_and(|data| cwd == data),
        Err(error) if error.kind() == io::ErrorKind::NotFound => !Path::new("/proc/self").exists(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_on_the_eighth_line() {
        let text = "4711\n/data\n1795000000\n15000\n\n127.0.0.1\n  123 456\nready   \n";
        assert_eq!(parse(text), Some((4711, true)));
        assert_eq!(
            parse(&text.replace("ready   ", "starting")),
            Some((4711, false))
        );
        assert_eq!(parse("4711\n"), Some((4711, false)));
        assert_eq!(parse(""), None);
    }

    #[tokio::test]
    async fn a_file_whose_number_belongs_to_another_process_is_deleted_and_the_process_spared() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("postmaster.pid");
        fs::write(&path, format!("{}\n", std::process::id())).expect("written");
        PidFile::recover(dir.path()).await.expect("recovers");
        assert!(!path.exists());
    }
}
