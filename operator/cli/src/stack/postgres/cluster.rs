//! Making a cluster, whole or not at all: it is built beside its place and then renamed into it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::account::Account;
use super::binaries::Binaries;
use crate::stack::error::StackError;

/// The database of a controller.
pub const DATABASE: &str = "fulcrum";
/// The cluster's only role.
pub const ROLE: &str = "fulcrum";
/// How many bytes of a program's words are shown when it fails.
const OUTPUT_CHARS: usize = 1000;

/// A cluster on disk.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The programs that run it.
    pub binaries: Binaries,
    /// Who runs them; `None` for ourselves.
    pub account: Option<Account>,
    /// Its directory: the data, and what goes with it.
    pub dir: PathBuf,
}

impl Cluster {
    /// The data directory proper.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Makes the cluster if there is none, with these databases besides [`DATABASE`].
    ///
    /// # Errors
    /// When a program fails or the disk does.
    pub async fn ensure(&self, databases: &[String]) -> Result<(), StackError> {
        if self.data().join("PG_VERSION").is_file() {
            return Ok(());
        }
        let draft = self.dir.join("data.new");
        match fs::remove_dir_all(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StackError::file("delete", draft, error));
            }
            Ok(()) | Err(_) => {}
        }
        let password = self.write_password()?;
        let mut initdb = self.command("initdb");
        initdb
            .arg("--pgdata")
            .arg(&draft)
            .arg("--pwfile")
            .arg(&password)
            .args([
                "--username",
                ROLE,
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-instructions",
            ]);
        run(initdb, "initdb", "").await?;
        append(&draft.join("postgresql.conf"), SETTINGS)?;

        // A server of its own, without sockets, that ends with its input.
        let statements: String = std::iter::once(DATABASE)
            .chain(databases.iter().map(String::as_str))
            .map(|name| format!("CREATE DATABASE \"{}\";\n", name.replace('"', "\"\"")))
            .collect();
        let mut single = self.command("postgres");
        single.args(["--single", "-D"]).arg(&draft).arg("template1");
        run(single, "postgres --single", &statements).await?;
        fs::rename(&draft, self.data()).map_err(|error| StackError::file("rename", draft, error))
    }

    /// The password of the role.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn password(&self) -> Result<String, StackError> {
        let path = self.password_file();
        fs::read_to_string(&path).map_err(|error| StackError::file("read", path, error))
    }

    /// One of PostgreSQL's programs, to be run as the account, with a clean environment.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.program(program));
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir(&self.dir)
            .stdin(Stdio::null());
        if let Some(account) = self.account {
            command.uid(account.uid).gid(account.gid);
        }
        command
    }

    fn password_file(&self) -> PathBuf {
        self.dir.join("password")
    }

    fn write_password(&self) -> Result<PathBuf, StackError> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| StackError::Io {
            what: "cannot draw a password".to_owned(),
            source: io::Error::other(error.to_string()),
        })?;
        let path = self.password_file();
        let write = || {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(hex::encode(bytes).as_bytes())?;
            match self.account {
                Some(account) => chown(&path, Some(account.uid), Some(account.gid)),
                None => Ok(()),
            }
        };
        write().map_err(|error| StackError::file("write", &path, error))?;
        Ok(path)
    }
}

/// Loopback only, and as durable as in production: what a demo shows must hold.
const SETTINGS: &str = "
# Set by fulcrum.
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
jit = off
";

fn append(path: &Path, text: &str) -> Result<(), StackError> {
    let write = || {
        fs::OpenOptions::new()
            .append(true)
            .open(path)?
            .write_all(text.as_bytes())
    };
    write().map_err(|error| StackError::file("write", path, error))
}

/// Runs a program to its end with this input.
async fn run(mut command: Command, name: &str, input: &str) -> Result<(), StackError> {
    let broken = |source| StackError::Io {
        what: format!("cannot run {name}"),
        source,
    };
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(broken)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early says why itself.
        drop(stdin.write_all(input.as_bytes()).await);
    }
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().await.map_err(broken)?;
    if status.success() {
        return Ok(());
    }
    let said = [stdout, stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let skipped = said.chars().count().saturating_sub(OUTPUT_CHARS);
    let output = said
        .chars()
        .skip(skipped)
        .collect::<String>()
        .trim()
        .to_owned();
    Err(StackError::Program {
        program: name.to_owned(),
        output,
    })
}
