//! What a command talks to in the end.

use std::path::PathBuf;

use super::store::Contexts;
use crate::error::CliError;

/// The namespace used when nothing names one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What the controller calls the reach of an identity that is not bound to one namespace.
const EVERY_NAMESPACE: &str = "_";

/// The namespace that an identity acts in when nothing names one: its own, if it has one.
#[must_use]
pub fn home_namespace(of_identity: String) -> String {
    if of_identity.is_empty() || of_identity == EVERY_NAMESPACE {
        DEFAULT_NAMESPACE.to_owned()
    } else {
        of_identity
    }
}

/// What options and environment say; each part overrules the context's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Name of the context.
    pub context: Option<String>,
    /// Where the controller is.
    pub address: Option<String>,
    /// Directory of the identity.
    pub identity: Option<PathBuf>,
    /// The namespace.
    pub namespace: Option<String>,
}

/// Where to connect, as whom, and the namespace to act in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name of the context; empty if none was used.
    pub context: String,
    /// Where the controller is: `host:port`.
    pub address: String,
    /// Directory of the identity.
    pub identity: PathBuf,
    /// The namespace.
    pub namespace: String,
}

impl Target {
    /// Brings overrides and contexts together.
    ///
    /// # Errors
    /// When the context does not exist, or nothing says where to connect or as whom.
    pub fn resolve(overrides: Overrides, contexts: Contexts) -> Result<Self, CliError> {
        let Contexts {
            current,
            mut contexts,
        } = contexts;
        let named = overrides.context.is_some();
        let name = overrides.context.or(current).unwrap_or_default();
        let context = contexts.remove(&name);
        if named && context.is_none() {
            let known: Vec<_> = contexts.into_keys().collect();
            let known = if known.is_empty() {
                "there are none yet".to_owned()
            } else {
                known.join(", ")
            };
            return Err(CliError::NotFound {
                message: format!("there is no context `{name}`"),
                fix: format!("`fulcrum context add` makes one; known: {known}"),
            });
        }
        let used = if context.is_some() {
            name
        } else {
            String::new()
        };
        let (address, identity, namespace) = match context {
            Some(context) => (
                Some(context.address),
                Some(context.identity),
                Some(context.namespace),
            ),
            None => (None, None, None),
        };
        let nowhere = || {
            CliError::usage(
                "nothing says which controller to use",
                "`fulcrum dev` starts one here and makes the context `dev`; `fulcrum context add NAME --token …` adds \
                 another; or give --address and --identity",
            )
        };
        Ok(Self {
            context: used,
            address: overrides.address.or(address).ok_or_else(nowhere)?,
            identity: overrides.identity.or(identity).ok_or_else(nowhere)?,
            namespace: overrides
                .namespace
                .or(namespace)
                .unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::store::Context;
    use crate::exit::Exit;

    fn contexts() -> Contexts {
        let context = |port| Context {
            address: format!("127.0.0.1:{port}"),
            identity: format!("/id/{port}").into(),
            namespace: "acme".to_owned(),
        };
        Contexts {
            current: Some("dev".to_owned()),
            contexts: [
                ("dev".to_owned(), context(1)),
                ("prod".to_owned(), context(2)),
            ]
            .into(),
        }
    }

    #[test]
    fn the_current_context_is_used_when_nothing_is_said() {
        let target = Target::resolve(Overrides::default(), contexts()).expect("resolves");
        assert_eq!(
            (target.context.as_str(), target.address.as_str()),
            ("dev", "127.0.0.1:1")
        );
        assert_eq!(target.namespace, "acme");
    }

    #[test]
    fn an_option_overrules_its_part_of_the_context_only() {
        let overrides = Overrides {
            context: Some("prod".to_owned()),
            namespace: Some("other".to_owned()),
            ..Overrides::default()
        };
        let target = Target::resolve(overrides, contexts()).expect("resolves");
        assert_eq!(
            (target.address.as_str(), target.namespace.as_str()),
            ("127.0.0.1:2", "other")
        );
    }

    #[test]
    fn a_context_that_is_named_must_exist() {
        let overrides = Overrides {
            context: Some("prodd".to_owned()),
            ..Overrides::default()
        };
        let error = Target::resolve(overrides, contexts()).expect_err("refused");
        assert_eq!(error.exit(), Exit::NotFound);
        assert!(error.fix().is_some_and(|fix| fix.contains("dev, prod")));
    }

    #[test]
    fn without_a_context_address_and_identity_are_enough() {
        let overrides = Overrides {
            address: Some("h:1".to_owned()),
            identity: Some("/id".into()),
            ..Overrides::default()
        };
        let target = Target::resolve(overrides, Contexts::default()).expect("resolves");
        assert_eq!(target.namespace, DEFAULT_NAMESPACE);
        let error =
            Target::resolve(Overrides::default(), Contexts::default()).expect_err("refused");
        assert_eq!(error.exit(), Exit::Usage);
    }
}
