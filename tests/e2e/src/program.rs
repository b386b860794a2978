//! A program of this workspace that can be ended in any way and started again exactly as it was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpStream;

use crate::process::{Build, Process};
use crate::wait;

/// How long a program may take to end after SIGTERM: its own deadline is 20 s.
pub const END_PATIENCE: Duration = Duration::from_secs(25);

/// How to start a program, and the process if it runs. Killed when dropped.
pub struct Program {
    name: String,
    dir: PathBuf,
    binary: PathBuf,
    args: Vec<String>,
    args_of_this_build: Vec<String>,
    env: Vec<(String, String)>,
    build: Build,
    process: Option<Process>,
}

impl Program {
    /// Describes it; nothing runs yet. `name` is for messages and names the log, `<dir>/<name>.log`.
    pub fn new(name: &str, dir: &Path, binary: &str) -> anyhow::Result<Self> {
        let binary = Build::This.binary(binary)?;
        let (name, dir) = (name.to_owned(), dir.to_owned());
        Ok(Self {
            name,
            dir,
            binary,
            args: Vec::new(),
            args_of_this_build: Vec::new(),
            env: Vec::new(),
            build: Build::This,
            process: None,
        })
    }

    /// Adds arguments.
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds arguments that an older build does not know and is not given.
    pub fn args_of_this_build<T: Into<String>>(
        mut self,
        args: impl IntoIterator<Item = T>,
    ) -> Self {
        self.args_of_this_build
            .extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Adds or replaces an environment variable from the next start on.
    pub fn set_env(&mut self, name: &str, value: impl Into<String>) {
        self.env.retain(|(other, _)| other != name);
        self.env.push((name.to_owned(), value.into()));
    }

    /// Is of this build from the next start on.
    pub fn be_of(&mut self, build: &Build) -> anyhow::Result<()> {
        let name = self.binary.file_name().and_then(std::ffi::OsStr::to_str);
        self.binary = build.binary(name.context("a binary has a name")?)?;
        self.build = build.clone();
        Ok(())
    }

    /// Its command: the caller's settings for Fulcrum's programs are not passed on.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["FULCRUM_", "OTEL_", "BILLING_"]
                .iter()
                .any(|prefix| text.starts_with(prefix))
            {
                command.env_remove(&name);
            }
        }
        if self.build == Build::This {
            command.args(&self.args_of_this_build);
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.is_none(), "{} runs already", self.name);
        self.process = Some(Process::start(&self.name, &self.dir, self.command())?);
        Ok(())
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.process
            .take()
            .with_context(|| format!("{} does not run", self.name))?
            .kill()
    }

    /// Sends the running process a signal by name (`STOP`, `CONT`).
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        self.process()?.signal(signal)
    }

    /// SIGTERM, and how it ended. Fails if it takes longer than [`END_PATIENCE`].
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        let mut process = self
            .process
            .take()
            .with_context(|| format!("{} does not run", self.name))?;
        process.terminate(END_PATIENCE).await
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(Process::ended)
    }

    /// The running process.
    pub fn process(&self) -> anyhow::Result<&Process> {
        self.process
            .as_ref()
            .with_context(|| format!("{} does not run", self.name))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All it ever logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join(format!("{}.log", self.name))).unwrap_or_default()
    }
}

/// Waits until somebody listens at `address`.
pub async fn listening(address: SocketAddr) {
    wait::until(&format!("a listener at {address}"), || async move {
        TcpStream::connect(address).await.map(drop)
    })
    .await;
}
