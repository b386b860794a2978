//! The parts of an identity's name.

use std::fmt;
use std::str::FromStr;

use fulcrum_core::ids::WorkerId;
use uuid::Uuid;

use super::role::Role;

/// Longest install id, namespace name or worker name, in characters (a DNS label).
pub const LABEL_CHARS_MAX: usize = 63;

/// A text that cannot be part of an identity's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}")]
pub struct InvalidName {
    /// What was given, cut to 80 characters.
    pub text: String,
    /// The part that was expected.
    pub what: &'static str,
}

fn label(text: &str, what: &'static str) -> Result<String, InvalidName> {
    let alphanumeric = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends_well = text.as_bytes().first().is_some_and(alphanumeric)
        && text.as_bytes().last().is_some_and(alphanumeric);
    let runs_well = text.bytes().all(|b| alphanumeric(&b) || b == b'-');
    if ends_well && runs_well && text.len() <= LABEL_CHARS_MAX {
        Ok(text.to_owned())
    } else {
        Err(InvalidName {
            text: text.chars().take(80).collect(),
            what,
        })
    }
}

macro_rules! label_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                label(text, $what).map(Self)
            }
        }
    };
}

label_type!(
    /// The name of an installation: the trust domain of all its certificates.
    InstallId,
    "install id: use 1 to 63 of a-z, 0-9 and `-`, neither beginning nor ending with `-`"
);
label_type!(
    /// The name of a namespace.
    NamespaceName,
    "namespace name: use 1 to 63 of a-z, 0-9 and `-`, neither beginning nor ending with `-`"
);
label_type!(
    /// The name a person gave to a worker, operator or client.
    IdentityName,
    "identity name: use 1 to 63 of a-z, 0-9 and `-`, neither beginning nor ending with `-`"
);

impl InstallId {
    /// A new installation's id, from 8 random bytes.
    #[must_use]
    pub fn new(entropy: [u8; 8]) -> Self {
        Self(format!("f-{}", hex::encode(entropy)))
    }
}

/// The id of an identity. A worker's identity id is its worker id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId(pub Uuid);

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl IdentityId {
    /// The id as the API shows it: a TypeID whose prefix tells the role (`wrk_…`, `opr_…`).
    #[must_use]
    pub fn type_id(self, role: Role) -> String {
        let worker = WorkerId(self.0).to_string();
        let suffix = worker.strip_prefix(WORKER_PREFIX).unwrap_or(&worker);
        format!("{}{suffix}", prefix(role))
    }

    /// Reads an id as the API shows it, whatever the role.
    ///
    /// # Errors
    /// When the text is not such an id.
    pub fn from_type_id(text: &str) -> Result<Self, InvalidName> {
        Role::ALL
            .into_iter()
            .find_map(|role| text.strip_prefix(prefix(role)))
            .and_then(|suffix| format!("{WORKER_PREFIX}{suffix}").parse::<WorkerId>().ok())
            .map(|id| Self(id.0))
            .ok_or_else(|| InvalidName {
                text: text.chars().take(80).collect(),
                what: "identity id (`wrk_…`, `opr_…`)",
            })
    }
}

const WORKER_PREFIX: &str = "wrk_";

const fn prefix(role: Role) -> &'static str {
    match role {
        Role::Executor | Role::Connector => WORKER_PREFIX,
        Role::Operator => "opr_",
        Role::Client => "cli_",
        Role::Controller => "ctl_",
    }
}

/// How far an identity reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every namespace of the installation; written `_`.
    Every,
    /// One namespace.
    Namespace(NamespaceName),
}

impl Scope {
    /// True if the scope reaches this namespace.
    #[must_use]
    pub fn reaches(&self, namespace: &str) -> bool {
        match self {
            Scope::Every => true,
            Scope::Namespace(own) => own.as_str() == namespace,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Every => f.write_str("_"),
            Scope::Namespace(name) => name.fmt(f),
        }
    }
}

impl FromStr for Scope {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        if text == "_" {
            Ok(Scope::Every)
        } else {
            text.parse().map(Scope::Namespace)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["acme", "crm-box-2", "0"] {
            assert_eq!(
                good.parse::<NamespaceName>().map(|n| n.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in ["", "-x", "x-", "Acme", "a/b", "_", "a.b", &"x".repeat(64)] {
            assert!(bad.parse::<NamespaceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_id_shown_in_the_api_tells_the_role_and_can_be_read_back() {
        let id = IdentityId(Uuid::from_u128(12));
        assert!(id.type_id(Role::Operator).starts_with("opr_"));
        assert_eq!(id.type_id(Role::Connector), WorkerId(id.0).to_string());
        for role in Role::ALL {
            assert_eq!(IdentityId::from_type_id(&id.type_id(role)), Ok(id));
        }
        assert!(IdentityId::from_type_id("run_01h455vb4pex5vsknk084sn02q").is_err());
    }

    #[test]
    fn a_scope_reaches_its_own_namespace_and_every_reaches_all() {
        let acme: Scope = "acme".parse().expect("valid");
        assert!(acme.reaches("acme"));
        assert!(!acme.reaches("other"));
        assert!("_".parse::<Scope>().expect("valid").reaches("other"));
    }
}
