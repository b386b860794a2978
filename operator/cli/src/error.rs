//! Everything that can end a command early, and what to do about each.

use std::io;
use std::path::PathBuf;

use crate::client::refusal::Refusal;
use crate::exit::Exit;

/// Why a command ended early. [`CliError::exit`] gives the exit code, [`CliError::fix`] the way out.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What was typed, or a file it names, cannot be used.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What would be right.
        fix: String,
    },
    /// Something on this machine is not there.
    #[error("{message}")]
    NotFound {
        /// What is missing.
        message: String,
        /// How to get it.
        fix: String,
    },
    /// Access was refused before there was an identity.
    #[error("{message}")]
    Denied {
        /// What was refused.
        message: String,
        /// How to be let in.
        fix: String,
    },
    /// The controller refused.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// No connection to the controller.
    #[error("cannot reach the controller at {address}")]
    Unreachable {
        /// Where it was looked for.
        address: String,
        /// What the attempt met.
        cause: String,
    },
    /// A file or stream failed.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A check found something wrong.
    #[error("{message}")]
    CheckFailed {
        /// What was found.
        message: String,
        /// What to do now.
        fix: String,
    },
    /// The answer is not what the contract promises.
    #[error("the controller's answer makes no sense: {0}")]
    BadAnswer(String),
    /// Servers on this machine did not start, or did not stay up.
    #[cfg(feature = "dev")]
    #[error(transparent)]
    Stack(#[from] crate::stack::StackError),
}

impl CliError {
    /// Something that was typed wrong.
    pub fn usage(message: impl Into<String>, fix: impl Into<String>) -> Self {
        CliError::Usage {
            message: message.into(),
            fix: fix.into(),
        }
    }

    /// A file that could not be used.
    pub fn file(verb: &str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        CliError::Io {
            what: format!("cannot {verb} {}", path.into().display()),
            source,
        }
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            CliError::Usage { .. } => Exit::Usage,
            CliError::NotFound { .. } => Exit::NotFound,
            CliError::Denied { .. } => Exit::Denied,
            CliError::Refused(refusal) => refusal.exit(),
            CliError::Unreachable { .. } => Exit::Unavailable,
            CliError::Io { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Exit::NotFound,
                io::ErrorKind::PermissionDenied => Exit::Denied,
                _ => Exit::Failed,
            },
            CliError::CheckFailed { .. } | CliError::BadAnswer(_) => Exit::Failed,
            #[cfg(feature = "dev")]
            CliError::Stack(error) => error.exit(),
        }
    }

    /// The error under the error, if it adds anything.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        match self {
            CliError::Unreachable { cause, .. } => Some(cause.clone()),
            CliError::Io { source, .. } => Some(source.to_string()),
            CliError::Usage { .. }
            | CliError::NotFound { .. }
            | CliError::Denied { .. }
            | CliError::Refused(_)
            | CliError::CheckFailed { .. }
            | CliError::BadAnswer(_) => None,
            #[cfg(feature = "dev")]
            CliError::Stack(error) => error.cause(),
        }
    }

    /// What the person can do about it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        match self {
            CliError::Usage { fix, .. }
            | CliError::NotFound { fix, .. }
            | CliError::Denied { fix, .. }
            | CliError::CheckFailed { fix, .. } => Some(fix.clone()),
            CliError::Refused(refusal) => refusal.fix(),
            CliError::Unreachable { .. } => Some(
                "is it running? `fulcrum dev` starts one here; `fulcrum context list` shows where you point".to_owned(),
            ),
            CliError::Io { .. } => None,
            CliError::BadAnswer(_) => {
                Some("`fulcrum whoami` shows the controller's version; use a `fulcrum` of the same one".to_owned())
            }
            #[cfg(feature = "dev")]
            CliError::Stack(error) => error.fix(),
        }
    }

    /// The documented code: an error reason of the contract.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            CliError::Refused(refusal) => Some(&refusal.code),
            CliError::Unreachable { .. } => Some("UNREACHABLE"),
            CliError::Usage { .. }
            | CliError::NotFound { .. }
            | CliError::Denied { .. }
            | CliError::Io { .. }
            | CliError::CheckFailed { .. }
            | CliError::BadAnswer(_) => None,
            #[cfg(feature = "dev")]
            CliError::Stack(_) => None,
        }
    }
}

impl From<tonic::Status> for CliError {
    fn from(status: tonic::Status) -> Self {
        CliError::Refused(Box::new(Refusal::from_status(&status)))
    }
}
