//! One controller process, which keeps its addresses when it is started again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use fulcrum_e2e::ports;
use fulcrum_e2e::process::{Build, Process};
use fulcrum_sdk::{Enrolment, IdentityDir, enrol};

use crate::rig::patience::until;

/// Its own deadline for the end is 20 s.
const END_MAX: Duration = Duration::from_secs(30);

/// A controller.
pub(crate) struct Controller {
    binary: PathBuf,
    home: PathBuf,
    grpc: SocketAddr,
    enrolment: SocketAddr,
    settings: Vec<(String, String)>,
    process: Process,
}

impl Controller {
    /// Starts one on a database and waits until it listens. `settings` are environment variables; what this process
    /// was given (`FULCRUM_LANES__COUNT` …) is passed on too.
    pub(crate) async fn start(
        home: &Path,
        database: String,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let (grpc, enrolment, http) = (ports::free()?, ports::free()?, ports::free()?);
        let binary = binary_beside("fulcrum-controller")?;
        let own = [
            ("FULCRUM_KEYS__SOURCES", key_source(&binary, home)?),
            ("FULCRUM_DATABASE__URL", database),
            ("FULCRUM_LISTEN__GRPC", grpc.to_string()),
            ("FULCRUM_LISTEN__ENROL", enrolment.to_string()),
            ("FULCRUM_LISTEN__HTTP", http.to_string()),
            ("FULCRUM_TELEMETRY__LOG_FILTER", "warn".to_owned()),
        ];
        let given = settings
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let settings = own
            .into_iter()
            .chain(given)
            .map(|(name, value)| (name.to_owned(), value));
        let settings: Vec<_> = settings.collect();
        let process = launch(&binary, home, &settings)?;
        let controller = Self {
            binary,
            home: home.to_owned(),
            grpc,
            enrolment,
            settings,
            process,
        };
        controller.listens().await?;
        Ok(controller)
    }

    /// Waits until it listens for workers and newcomers.
    pub(crate) async fn listens(&self) -> anyhow::Result<()> {
        for address in [self.grpc, self.enrolment] {
            let knock = async || std::net::TcpStream::connect(address);
            until("the controller listens", knock).await?;
        }
        Ok(())
    }

    /// `kill -9`, and waits for the end.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.process.kill()
    }

    /// Starts it again as it was. Does not wait until it listens.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = launch(&self.binary, &self.home, &self.settings)?;
        Ok(())
    }

    /// Asks it to end, and waits.
    pub(crate) async fn terminate(&mut self) -> anyhow::Result<()> {
        let status = self.process.terminate(END_MAX).await?;
        anyhow::ensure!(status.success(), "the controller ended with {status}");
        Ok(())
    }

    /// Lets a newcomer of this kind (`operator`, `executor`, `connector`) in.
    pub(crate) async fn enrol(&self, name: &str, kind: &str) -> anyhow::Result<IdentityDir> {
        let output = Command::new(&self.binary)
            .envs(self.settings.clone())
            .args(["invite", name, "--kind", kind])
            .output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "invite {name}: {complaint}");
        let token = String::from_utf8(output.stdout)?;
        self.join(name, token.trim()).await
    }

    /// Exchanges a join token for an identity, kept in a folder of that name.
    pub(crate) async fn join(&self, name: &str, token: &str) -> anyhow::Result<IdentityDir> {
        let dir = IdentityDir::at(self.home.join(name));
        let enrolment = Enrolment {
            endpoint: format!("https://localhost:{}", self.enrolment.port()),
            token: token.parse()?,
            name: None,
            version: "bench".to_owned(),
        };
        enrol(&enrolment, &dir).await?;
        Ok(dir)
    }

    /// Where workers and clients reach it.
    pub(crate) fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.grpc.port())
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

fn launch(binary: &Path, home: &Path, settings: &[(String, String)]) -> anyhow::Result<Process> {
    let mut command = Command::new(binary);
    command.envs(settings.iter().cloned());
    Process::start("controller", home, command)
}

/// The key-encryption key of all controllers of this home, made by the first.
fn key_source(binary: &Path, home: &Path) -> anyhow::Result<String> {
    let file = std::path::absolute(home)?.join("kek");
    if !file.exists() {
        let mut generate = Command::new(binary);
        let made = generate.args(["keys", "generate"]).arg(&file).output()?;
        let complaint = String::from_utf8_lossy(&made.stderr);
        anyhow::ensure!(made.status.success(), "keys generate: {complaint}");
    }
    Ok(format!("[{{ file = {file:?} }}]"))
}

/// Built beside this program, whatever the folder.
fn binary_beside(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let folder = here.parent().context("a program lives in a folder")?;
    let beside = folder.join(name);
    if beside.is_file() {
        Ok(beside)
    } else {
        Build::This.binary(name)
    }
}
