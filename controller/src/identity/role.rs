//! The roles an identity can have.

use std::fmt;
use std::str::FromStr;

/// What an identity is; fixed when it is created and written into its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A cloud worker: agents and model access.
    Executor,
    /// An edge worker: next to databases, CRMs and scripts.
    Connector,
    /// A person who authors, inspects, approves and intervenes.
    Operator,
    /// A program that starts and follows runs.
    Client,
    /// A controller.
    Controller,
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; expected executor, connector, operator, client or controller")]
pub struct UnknownRole(pub String);

impl Role {
    /// Every role, in the order of the enum.
    pub const ALL: [Role; 5] = [
        Role::Executor,
        Role::Connector,
        Role::Operator,
        Role::Client,
        Role::Controller,
    ];

    /// The word used in certificates, tokens and output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Executor => "executor",
            Role::Connector => "connector",
            Role::Operator => "operator",
            Role::Client => "client",
            Role::Controller => "controller",
        }
    }

    /// True for the roles that lease tasks.
    #[must_use]
    pub const fn is_worker(self) -> bool {
        match self {
            Role::Executor | Role::Connector => true,
            Role::Operator | Role::Client | Role::Controller => false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.chars().take(64).collect()))
    }
}
