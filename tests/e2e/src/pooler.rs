//! pgbouncer in transaction mode before a cluster: each transaction gets whichever server session is free.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::postgres::{Postgres, is_root};
use crate::process::{self, Process};
use crate::{ports, program};

/// A pooler. Ends with the value.
pub struct Pooler {
    address: SocketAddr,
    _process: Process,
    _dir: tempfile::TempDir,
}

impl Pooler {
    /// Starts one that has so many server sessions for all of its clients together.
    pub async fn before(postgres: &Postgres, sessions: u32) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("fulcrum-pooler-")
            .tempdir()?;
        let (address, server) = (ports::free()?, postgres.address());
        let settings = format!(
            "[databases]\nfulcrum = host={} port={} user=fulcrum\n\
             [pgbouncer]\nlisten_addr = {}\nlisten_port = {}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {sessions}\nmax_client_conn = 100\n",
            server.ip(),
            server.port(),
            address.ip(),
            address.port()
        );
        let file = dir.path().join("pgbouncer.ini");
        std::fs::write(&file, settings)?;
        let mut command = Command::new(binary()?);
        command.arg(&file);
        // It refuses to run as root, and reads its settings before it is somebody else.
        if is_root() {
            command.args(["--user", "nobody"]);
        }
        let process = Process::start("pgbouncer", dir.path(), command)?;
        program::listening(address).await;
        Ok(Self {
            address,
            _process: process,
            _dir: dir,
        })
    }

    /// Where its clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn binary() -> anyhow::Result<PathBuf> {
    let found = Command::new(process::repository().join("scripts/pgbouncer-bin")).output()?;
    anyhow::ensure!(
        found.status.success(),
        "no pgbouncer found; run scripts/setup --for-tests"
    );
    let path = String::from_utf8(found.stdout).context("a path is text")?;
    Ok(PathBuf::from(path.trim()))
}
