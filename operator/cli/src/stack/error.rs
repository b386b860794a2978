//! Why servers on this machine did not start, or did not stay up.

use std::io;
use std::path::PathBuf;

use crate::error::CliError;
use crate::exit::Exit;

/// What went wrong. [`StackError::fix`] says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// There is no PostgreSQL server on this machine.
    #[error("found no PostgreSQL server (version {major_min} or newer) on this machine")]
    NoPostgres {
        /// The oldest version that will do.
        major_min: u32,
        /// Servers that were found and are older.
        too_old: Vec<PathBuf>,
    },
    /// PostgreSQL refuses root, and there is nobody else to run it.
    #[error("PostgreSQL refuses to run as root, and there is no user `postgres` to run it")]
    NoServerAccount,
    /// Another stack uses the directory.
    #[error("another `fulcrum` uses {}{}", dir.display(), holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// The directory.
        dir: PathBuf,
        /// The process that holds it, if it said so.
        holder: Option<u32>,
    },
    /// Somebody else listens there.
    #[error("port {port} of 127.0.0.1 is taken")]
    PortTaken {
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed")]
    Program {
        /// The program.
        program: String,
        /// The end of what it said.
        output: String,
    },
    /// PostgreSQL did not come up, or would not stay up.
    #[error("PostgreSQL {what}")]
    Postgres {
        /// What happened.
        what: String,
        /// The end of its log.
        output: String,
        /// The whole log.
        log: PathBuf,
    },
    /// A server ended or did not start.
    #[error("the {server} {what}")]
    Server {
        /// Which one.
        server: &'static str,
        /// What happened.
        what: String,
        /// Why.
        cause: String,
    },
    /// A file or directory failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl StackError {
    /// A file that could not be used.
    pub(crate) fn file(verb: &str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        StackError::Io {
            what: format!("cannot {verb} {}", path.into().display()),
            source,
        }
    }

    /// A server that failed.
    pub(crate) fn server(
        server: &'static str,
        what: impl Into<String>,
        cause: impl ToString,
    ) -> Self {
        StackError::Server {
            server,
            what: what.into(),
            cause: cause.to_string(),
        }
    }

    /// A call to our own controller that failed.
    pub(crate) fn call(what: &str, error: &CliError) -> Self {
        let cause = error
            .cause()
            .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
        StackError::server("controller", what, cause)
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            StackError::NoPostgres { .. } | StackError::NoServerAccount => Exit::NotFound,
            StackError::Locked { .. } | StackError::PortTaken { .. } => Exit::Conflict,
            StackError::Program { .. }
            | StackError::Postgres { .. }
            | StackError::Server { .. }
            | StackError::Io { .. } => Exit::Failed,
        }
    }

    /// The error under the error.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            StackError::NoPostgres { too_old, .. } if !too_old.is_empty() => {
                let dirs: Vec<_> = too_old
                    .iter()
                    .map(|dir| dir.display().to_string())
                    .collect();
                Some(format!("too old: {}", dirs.join(", ")))
            }
            StackError::NoPostgres { .. }
            | StackError::NoServerAccount
            | StackError::Locked { .. } => None,
            StackError::PortTaken { source, .. } | StackError::Io { source, .. } => {
                Some(source.to_string())
            }
            StackError::Program { output, .. } | StackError::Postgres { output, .. } => {
                Some(output.clone())
            }
            StackError::Server { cause, .. } => Some(cause.clone()),
        }
    }

    /// What the person can do about it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        Some(match self {
            StackError::NoPostgres { .. } => {
                "Debian and Ubuntu: sudo apt-get install postgresql; Fedora: sudo dnf install postgresql-server; macOS: \
                 brew install postgresql@17; or set FULCRUM_PG_BIN to the folder that holds initdb and postgres"
                    .to_owned()
            }
            StackError::NoServerAccount => {
                "run this as an ordinary user, or make one: useradd --system --no-create-home fulcrum-pg".to_owned()
            }
            StackError::Locked { holder, .. } => {
                let stop = holder.map_or_else(|| "stop it".to_owned(), |pid| format!("stop it (kill {pid})"));
                format!("{stop}, or use another directory with --data-dir")
            }
            StackError::PortTaken { .. } => "pick another base with --port".to_owned(),
            StackError::Program { .. } | StackError::Io { .. } => return None,
            StackError::Postgres { log, .. } => format!("its log is {}", log.display()),
            StackError::Server { .. } => "its log is in the data directory, under logs/".to_owned(),
        })
    }
}
