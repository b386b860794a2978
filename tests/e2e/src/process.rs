//! A child process whose log is kept and shown when the test fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

/// A running child. Killed when dropped.
pub struct Process {
    /// For messages.
    pub name: String,
    /// Where its output goes.
    pub log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command` with its output going to `<dir>/<name>.log`.
    pub fn start(name: &str, dir: &Path, mut command: Command) -> anyhow::Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let out = File::options().create(true).append(true).open(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("start {name}: {command:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            log,
            child,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT`).
    pub fn signal(&self, signal: &str) -> anyhow::Result<()> {
        // Through the shell, which has `kill` built in: the program of that name is missing on small machines.
        let status = Command::new("sh")
            .args(["-c", "kill -\"$0\" \"$1\"", signal])
            .arg(self.pid().to_string())
            .status()?;
        anyhow::ensure!(status.success(), "kill -{signal} {}", self.pid());
        Ok(())
    }

    /// Asks it to end by SIGTERM and waits; fails if it takes longer than `within`.
    pub async fn terminate(
        &mut self,
        within: Duration,
    ) -> anyhow::Result<std::process::ExitStatus> {
        self.signal("TERM")?;
        let began = std::time::Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            anyhow::ensure!(
                began.elapsed() < within,
                "{} did not end within {within:?}\n{}",
                self.name,
                self.tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Has it ended?
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines of its log.
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!(
                "--- {} ({}) ---\n{}",
                self.name,
                self.log.display(),
                self.tail()
            );
        }
    }
}

/// A build of Fulcrum: where its binaries are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Build {
    /// This workspace's, built beside the test.
    #[default]
    This,
    /// Another one's, in this folder.
    In(PathBuf),
}

impl Build {
    /// One of its binaries.
    pub fn binary(&self, name: &str) -> anyhow::Result<PathBuf> {
        let test = std::env::current_exe()?;
        let dir = match self {
            Self::This => test
                .parent()
                .and_then(Path::parent)
                .context("a test lives in target/<profile>/deps")?,
            Self::In(dir) => dir,
        };
        let path = dir.join(name);
        anyhow::ensure!(
            path.is_file(),
            "{} is missing: run `make build` first",
            path.display()
        );
        Ok(path)
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
