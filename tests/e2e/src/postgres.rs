//! A private PostgreSQL cluster with durability on, so that pulling the plug means something.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::Context as _;

use crate::{ports, process};

/// How a cluster differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Settings of the server, as in its configuration file.
    pub settings: Vec<(String, String)>,
    /// Environment of the server, such as a library to load first.
    pub env: Vec<(String, String)>,
    /// Where its files go; `/tmp` unless said.
    pub home_in: Option<PathBuf>,
}

/// A cluster of its own; stopped and deleted with the value.
pub struct Postgres {
    bin: PathBuf,
    home: tempfile::TempDir,
    port: u16,
    setup: Setup,
}

impl Postgres {
    /// Makes and starts one.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_as(Setup::default())
    }

    /// Makes and starts one that differs.
    pub fn start_as(setup: Setup) -> anyhow::Result<Self> {
        let cluster = Self::empty(setup)?;
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

    /// Makes and starts a standby of this cluster, which follows it asynchronously until it is promoted.
    pub fn standby(&self) -> anyhow::Result<Self> {
        self.standby_through(self.address())
    }

    /// As [`Postgres::standby`], following through this address, where a proxy may stand.
    pub fn standby_through(&self, address: SocketAddr) -> anyhow::Result<Self> {
        let standby = Self::empty(self.setup.clone())?;
        standby.tool(
            "pg_basebackup",
            &[
                "--pgdata",
                text(&standby.data())?,
                "--host=127.0.0.1",
                &format!("--port={}", address.port()),
                "--username=fulcrum",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--wal-method=stream",
            ],
        )?;
        standby.up()?;
        Ok(standby)
    }

    /// Makes a standby the primary of a new timeline, and waits until it takes writes.
    pub fn promote(&self) -> anyhow::Result<()> {
        self.tool("pg_ctl", &["-D", text(&self.data())?, "-w", "promote"])
    }

    /// An empty home with an address.
    fn empty(setup: Setup) -> anyhow::Result<Self> {
        let bin = Command::new(process::repository().join("scripts/pg-bin")).output()?;
        anyhow::ensure!(
            bin.status.success(),
            "no PostgreSQL server found; run scripts/setup"
        );
        let bin = PathBuf::from(String::from_utf8(bin.stdout)?.trim());
        let home = tempfile::Builder::new()
            .prefix("fulcrum-e2e-pg-")
            .tempdir_in(setup.home_in.as_deref().unwrap_or(Path::new("/tmp")))?;
        let cluster = Self {
            bin,
            home,
            port: ports::free()?.port(),
            setup,
        };
        if is_root() {
            // The server refuses to run as root; its home must be its own.
            run(Command::new("chown")
                .arg(server_user())
                .arg(cluster.home.path()))?;
        } else {
            std::fs::set_permissions(cluster.home.path(), std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(cluster)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// The URL of its database for somebody who reaches it at another address, through a proxy.
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://fulcrum@{address}/fulcrum")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Changes how the server differs, from its next start on.
    pub fn setup(&mut self) -> &mut Setup {
        &mut self.setup
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("server.log")).unwrap_or_default()
    }

    /// Starts the server (again) and waits until it answers.
    pub fn up(&self) -> anyhow::Result<()> {
        let mut options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c max_connections=100 -c jit=off",
            self.port,
            text(self.home.path())?
        );
        for (name, value) in &self.setup.settings {
            options.push_str(&format!(" -c {name}={value}"));
        }
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

    /// Runs statements in a session that stays open in their transaction, with whatever they locked, until the value is
    /// dropped.
    pub fn hold(&self, sql: &str) -> anyhow::Result<Held> {
        let mut session = Command::new(self.bin.join("psql"))
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", &self.url()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = session.stdin.take().context("it is piped")?;
        let heard = session.stdout.take().context("it is piped")?;
        let mut held = Held { session, said };
        writeln!(held.said, "begin;\n{sql};\n\\echo held")?;
        let mut lines = BufReader::new(heard).lines();
        let is_held = |line: std::io::Result<String>| line.is_ok_and(|line| line == "held");
        anyhow::ensure!(lines.any(is_held), "{sql}: the session ended");
        Ok(held)
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
        let env = self.setup.env.iter().map(|(name, value)| (name, value));
        run(command
            .args(args)
            .envs(env.filter(|_| name == "pg_ctl"))
            .current_dir("/")
            .stdin(Stdio::null()))
    }
}

/// An open transaction; rolled back with the value.
pub struct Held {
    session: Child,
    /// The session ends when nobody can tell it anything any more.
    said: ChildStdin,
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ended = self.session.kill();
        let _reaped = self.session.wait();
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

pub(crate) fn is_root() -> bool {
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
