//! A private PostgreSQL cluster with durability on, so that pulling the plug means something.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::{ports, process};

/// A cluster of its own; stopped and deleted with the value.
pub struct Postgres {
    bin: PathBuf,
    home: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    /// Makes and starts one.
    pub fn start() -> anyhow::Result<Self> {
        let bin = Command::new(process::repository().join("scripts/pg-bin")).output()?;
        anyhow::ensure!(
            bin.status.success(),
            "no PostgreSQL server found; run scripts/setup"
        );
        let bin = PathBuf::from(String::from_utf8(bin.stdout)?.trim());
        let home = tempfile::Builder::new()
            .prefix("fulcrum-e2e-pg-")
            .tempdir_in("/tmp")?;
        let cluster = Self {
            bin,
            home,
            port: ports::free()?.port(),
        };
        if is_root() {
            // The server refuses to run as root; its home must be its own.
            run(Command::new("chown")
                .arg(server_user())
                .arg(cluster.home.path()))?;
        } else {
            std::fs::set_permissions(cluster.home.path(), std::fs::Permissions::from_mode(0o700))?;
        }
        let data = cluster.data();
        cluster.tool(
            "initdb",
            &[
                "--pgdata",
                text(&data)?,
                "--username=fulcrum",
                "--auth=trust",
                "--no-sync",
            ],
        )?;
        cluster.up()?;
        cluster.tool(
            "createdb",
            &[
                "--host=127.0.0.1",
                &format!("--port={}", cluster.port),
                "--username=fulcrum",
                "fulcrum",
            ],
        )?;
        Ok(cluster)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://fulcrum@127.0.0.1:{}/fulcrum", self.port)
    }

    /// Starts the server (again) and waits until it answers.
    pub fn up(&self) -> anyhow::Result<()> {
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c max_connections=100",
            self.port,
            text(self.home.path())?
        );
        let (data, log) = (self.data(), self.home.path().join("server.log"));
        self.tool(
            "pg_ctl",
            &[
                "-D",
                text(&data)?,
                "-l",
                text(&log)?,
                "-o",
                &options,
                "-w",
                "-t",
                "60",
                "start",
            ],
        )
    }

    /// Ends the server without a checkpoint, as a power cut would end it.
    pub fn crash(&self) -> anyhow::Result<()> {
        self.tool(
            "pg_ctl",
            &["-D", text(&self.data())?, "-m", "immediate", "-w", "stop"],
        )
    }

    /// Runs one query and returns its single value.
    pub fn value(&self, sql: &str) -> anyhow::Result<String> {
        let output = Command::new(self.bin.join("psql"))
            .args(["-XAtq", "-c", sql, &self.url()])
            .output()?;
        anyhow::ensure!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Runs a client program of the server's (`createdb`, `pgbench`) against it and returns what it printed.
    pub fn client(&self, name: &str, args: &[&str]) -> anyhow::Result<String> {
        let output = Command::new(self.bin.join(name))
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "fulcrum")
            .args(args)
            .output()?;
        anyhow::ensure!(
            output.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Process id of the server.
    pub fn pid(&self) -> anyhow::Result<u32> {
        let file = std::fs::read_to_string(self.data().join("postmaster.pid"))?;
        Ok(file
            .lines()
            .next()
            .context("postmaster.pid is empty")?
            .parse()?)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn tool(&self, name: &str, args: &[&str]) -> anyhow::Result<()> {
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command
                .args(["-u", server_user(), "--"])
                .arg(self.bin.join(name));
            command
        } else {
            Command::new(self.bin.join(name))
        };
        // The server inherits nothing: a pipe kept open by it would never end.
        run(command
            .args(args)
            .current_dir("/")
            .stdin(std::process::Stdio::null()))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _stopped = self.crash();
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let log = tempfile::NamedTempFile::new()?;
    let status = command
        .stdout(log.reopen()?)
        .stderr(log.reopen()?)
        .status()?;
    anyhow::ensure!(
        status.success(),
        "{command:?}: {}",
        std::fs::read_to_string(log.path())?
    );
    Ok(())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The account that `scripts/setup` makes sure of.
fn server_user() -> &'static str {
    let exists = |user: &str| {
        Command::new("id")
            .arg(user)
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if exists("postgres") {
        "postgres"
    } else {
        "fulcrum-pg"
    }
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a path is not text")
}
