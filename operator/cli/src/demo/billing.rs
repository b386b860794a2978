//! The example's billing service: a program of its own, as a real one would be.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::error::CliError;

const START_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(25);

/// The running service; killed when dropped.
#[derive(Debug)]
pub struct Billing {
    child: Child,
}

impl Billing {
    /// Starts it with its ledger in `dir`, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(program: &Path, listen: SocketAddr, dir: &Path) -> Result<Self, CliError> {
        let log = dir.join("billing.log");
        let file = OpenOptions::new().create(true).append(true).open(&log);
        let file = file.map_err(|source| CliError::file("open", &log, source))?;
        let also = file
            .try_clone()
            .map_err(|source| CliError::file("open", &log, source))?;
        let mut command = Command::new(program);
        command
            .arg("--listen")
            .arg(listen.to_string())
            .arg("--ledger")
            .arg(dir.join("invoices.jsonl"))
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(also)
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|source| CliError::file("run", program, source))?;
        let up = async {
            while TcpStream::connect(listen).await.is_err() {
                tokio::time::sleep(POLL).await;
            }
        };
        let why = tokio::select! {
            up = tokio::time::timeout(START_PATIENCE, up) => match up {
                Ok(()) => return Ok(Self { child }),
                Err(_) => "it accepts no connections".to_owned(),
            },
            ended = child.wait() => format!("it ended ({ended:?})"),
        };
        Err(CliError::CheckFailed {
            message: format!("the billing service did not start: {why}"),
            fix: format!("its log is {}", log.display()),
        })
    }

    /// Ends it. It keeps nothing that a kill could lose: what it acknowledged is on disk.
    pub async fn stop(mut self) {
        drop(self.child.kill().await);
    }
}
