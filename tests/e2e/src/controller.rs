//! One controller process with addresses of its own.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api::NAMESPACE;
use crate::program::Program;
use crate::{ports, wait};

/// Settings for tests: leases and sweeps are fast, so that recovery is seen within seconds.
const SETTINGS: &[(&str, &str)] = &[
    ("lease.ttl_ms", "3000"),
    ("lease.heartbeat_ms", "1000"),
    ("lease.reassert_ms", "3000"),
    ("loops.tick_ms", "200"),
];

/// A controller; it keeps its addresses when it is started again.
pub struct Controller {
    /// The process.
    pub program: Program,
    grpc: SocketAddr,
    enrol: SocketAddr,
    http: SocketAddr,
}

impl Controller {
    /// Describes a controller on this database; nothing runs yet. `settings` are stronger than the tests' own. Those in the
    /// same directory have the same key-encryption key.
    pub fn new(
        name: &str,
        dir: &Path,
        database: &str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let [grpc, enrol, http] = [ports::free()?, ports::free()?, ports::free()?];
        let listeners = [
            ("listen.grpc", grpc),
            ("listen.enrol", enrol),
            ("listen.http", http),
        ];
        let set = |key: &str, value: &str| ["--set".to_owned(), format!("{key}={value}")];
        let program = Program::new(name, dir, "fulcrum-controller")?
            .args_of_this_build(set("keys.sources", &key_source(dir)?))
            .args(set("database.url", database))
            .args(
                listeners
                    .iter()
                    .flat_map(|(key, address)| set(key, &address.to_string())),
            )
            .args(
                SETTINGS
                    .iter()
                    .chain(settings)
                    .flat_map(|(key, value)| set(key, value)),
            );
        Ok(Self {
            program,
            grpc,
            enrol,
            http,
        })
    }

    /// Starts it and waits until it says that it is ready.
    pub async fn up(&mut self) -> anyhow::Result<()> {
        self.program.start()?;
        self.ready().await;
        Ok(())
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&self) {
        wait::until(&format!("{} ready", self.program.name()), || {
            readiness(self.http)
        })
        .await;
    }

    /// A single-use join token of a new identity; works whether it runs or not.
    pub fn invite(&self, name: &str, kind: &str) -> anyhow::Result<String> {
        self.invite_into(NAMESPACE, name, kind)
    }

    /// As [`Controller::invite`], into this namespace; `_` stands for every one.
    pub fn invite_into(&self, namespace: &str, name: &str, kind: &str) -> anyhow::Result<String> {
        let output = self
            .program
            .command()
            .args(["invite", name, "--kind", kind, "--namespace", namespace])
            .output()?;
        anyhow::ensure!(
            output.status.success(),
            "invite {name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Where workers and clients reach it.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.grpc)
    }

    /// Whether it says that it is ready; the error is what it says instead.
    pub async fn readiness(&self) -> anyhow::Result<()> {
        readiness(self.http).await
    }

    /// Where newcomers reach it.
    pub fn enrolment(&self) -> String {
        format!("https://{}", self.enrol)
    }
}

/// The key-encryption key in this directory, made if there is none.
fn key_source(dir: &Path) -> anyhow::Result<String> {
    let file = std::path::absolute(dir)?.join("kek");
    if !file.exists() {
        let made = Program::new("keys", dir, "fulcrum-controller")?
            .args(["keys", "generate"])
            .args([file.display().to_string()])
            .command()
            .output()?;
        let said = String::from_utf8_lossy(&made.stderr);
        anyhow::ensure!(made.status.success(), "keys generate: {said}");
    }
    Ok(format!("[{{ file = {file:?} }}]"))
}

/// Asks `/readyz`; the error is what it answers instead of "ok".
async fn readiness(http: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(http).await?;
    stream
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.lines().next().context("no answer")?;
    anyhow::ensure!(status.contains(" 200 "), "{answer}");
    Ok(())
}
