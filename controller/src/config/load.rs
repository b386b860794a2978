//! Putting the sources together.

use std::path::PathBuf;

use figment::providers::{Format, Toml};
use figment::value::Value;
use figment::{Figment, error::Kind};

use super::parts::Config;
use super::validate::{Problem, validate};

/// The embedded defaults, which are also the source of the reference page.
pub const DEFAULTS: &str = include_str!("default.toml");

/// Prefix of environment variables.
pub const ENV_PREFIX: &str = "FULCRUM_";

/// Where values come from, weakest first; the embedded defaults are weaker than all.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A TOML file. It must exist if it is named.
    pub file: Option<PathBuf>,
    /// The environment. Only names with the prefix and a double underscore count.
    pub environment: Vec<(String, String)>,
    /// `key.path` and value, from the command line.
    pub flags: Vec<(String, String)>,
}

/// Why there is no configuration. Whoever starts the process must change it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The named file is not there.
    #[error("the configuration file {} does not exist", .0.display())]
    NoFile(PathBuf),
    /// Keys that nobody knows, values of the wrong type.
    #[error("configuration:\n  {}", .0.join("\n  "))]
    Unreadable(Vec<String>),
    /// Values that do not fit together.
    #[error("configuration:\n  {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
    Invalid(Vec<Problem>),
}

/// Loads and validates the configuration.
///
/// # Errors
/// With everything that is wrong, each naming its key and where it was set.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let config: Config = figment(sources)?.extract().map_err(unreadable)?;
    let problems = validate(&config);
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Invalid(problems))
    }
}

pub(super) fn figment(sources: &Sources) -> Result<Figment, ConfigError> {
    let mut figment = Figment::from(Toml::string(DEFAULTS));
    if let Some(file) = &sources.file {
        if !file.is_file() {
            return Err(ConfigError::NoFile(file.clone()));
        }
        figment = figment.merge(Toml::file_exact(file));
    }
    for (name, text) in &sources.environment {
        if let Some(key) = name
            .strip_prefix(ENV_PREFIX)
            .filter(|key| key.contains("__"))
        {
            figment = figment.merge((key.to_lowercase().replace("__", "."), value(text)));
        }
    }
    for (key, text) in &sources.flags {
        figment = figment.merge((key.as_str(), value(text)));
    }
    Ok(figment)
}

/// `12`, `true`, `[a, b]` and `{a=b}` are what they look like; everything else is text.
fn value(text: &str) -> Value {
    match text.parse() {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn unreadable(error: figment::Error) -> ConfigError {
    ConfigError::Unreadable(
        error
            .into_iter()
            .map(|error| {
                let mut path = error.path.clone();
                if let Kind::UnknownField(field, _) = &error.kind
                    && path.last() != Some(field)
                {
                    path.push(field.clone());
                }
                let source = error.metadata.as_ref().and_then(|m| m.source.as_ref());
                let source = source.map(|s| format!(" (in {s})")).unwrap_or_default();
                let problem = match &error.kind {
                    Kind::UnknownField(_, known) => {
                        format!("is not a key; known here: {}", known.join(", "))
                    }
                    kind => kind.to_string(),
                };
                format!("`{}`: {problem}{source}", path.join("."))
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::KeySourceConfig;

    fn flags(flags: &[(&str, &str)]) -> Sources {
        let flags = flags
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Sources {
            flags,
            ..Sources::default()
        }
    }

    fn failure(sources: &Sources) -> String {
        load(sources).err().expect("an error").to_string()
    }

    #[test]
    fn the_defaults_alone_are_a_valid_configuration() {
        let config = load(&Sources::default()).expect("valid");
        assert_eq!(
            config.limits,
            fulcrum_core::limits::Limits::default(),
            "core and default.toml agree"
        );
        assert_eq!(config.lease.ttl_ms, 30_000);
    }

    #[test]
    fn every_limit_of_the_core_is_described() {
        let limits =
            serde_json::to_value(fulcrum_core::limits::Limits::default()).expect("serializes");
        for name in limits.as_object().expect("an object").keys() {
            assert!(
                DEFAULTS.contains(&format!("\n{name} = ")),
                "`limits.{name}` is missing in default.toml"
            );
        }
    }

    #[test]
    fn later_sources_win() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("controller.toml");
        std::fs::write(
            &file,
            "[lease]\nttl_ms = 27000\nheartbeat_ms = 5000\n[retention]\ndays = 7\n",
        )
        .expect("written");
        let mut sources = flags(&[("lease.ttl_ms", "29000")]);
        sources.file = Some(file);
        sources.environment = vec![
            ("FULCRUM_LEASE__TTL_MS".to_owned(), "28000".to_owned()),
            ("FULCRUM_LEASE__HEARTBEAT_MS".to_owned(), "6000".to_owned()),
            (
                "FULCRUM_TEST_DATABASE_URL".to_owned(),
                "not a key".to_owned(),
            ),
            (
                "FULCRUM_DATABASE__URL".to_owned(),
                "postgres://a:b@c:1/d".to_owned(),
            ),
        ];
        let config = load(&sources).expect("valid");
        assert_eq!(
            (
                config.lease.ttl_ms,
                config.lease.heartbeat_ms,
                config.retention.days
            ),
            (29_000, 6_000, 7)
        );
        assert_eq!(config.database.url.expose_secret(), "postgres://a:b@c:1/d");
    }

    #[test]
    fn key_sources_are_said_the_same_way_everywhere() {
        let said = r#"[{ file = "/etc/fulcrum/kek" }, { environment = "KEK" }, { command = ["cat", "/kek"] }]"#;
        let expected = [
            KeySourceConfig::File("/etc/fulcrum/kek".into()),
            KeySourceConfig::Environment("KEK".to_owned()),
            KeySourceConfig::Command(vec!["cat".to_owned(), "/kek".to_owned()]),
        ];
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("controller.toml");
        std::fs::write(&file, format!("[keys]\nsources = {said}\n")).expect("written");
        let from_file = Sources {
            file: Some(file),
            ..Sources::default()
        };
        let from_environment = Sources {
            environment: vec![("FULCRUM_KEYS__SOURCES".to_owned(), said.to_owned())],
            ..Sources::default()
        };
        for sources in [
            from_file,
            from_environment,
            flags(&[("keys.sources", said)]),
        ] {
            let config = load(&sources).expect("valid");
            assert_eq!(config.keys.sources, expected);
        }
        let message = failure(&flags(&[("keys.sources", r#"[{ fiel = "/kek" }]"#)]));
        assert!(message.contains("`file`"), "{message}");
        for lacking in [
            r#"[{ file = "kek" }]"#,
            r#"[{ environment = "" }]"#,
            "[{ command = [] }]",
        ] {
            let message = failure(&flags(&[("keys.sources", lacking)]));
            assert!(message.contains("`keys.sources`"), "{lacking}: {message}");
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_path() {
        let message = failure(&flags(&[("lease.ttl_seconds", "1")]));
        assert!(
            message.contains("`lease.ttl_seconds`: is not a key"),
            "{message}"
        );
        let message = failure(&flags(&[("leese.ttl_ms", "1")]));
        assert!(message.contains("`leese`: is not a key"), "{message}");
        let message = failure(&flags(&[("limits.payload_bytes_maks", "1")]));
        assert!(message.contains("`limits.payload_bytes_maks`"), "{message}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named_with_its_path() {
        let message = failure(&flags(&[("listen.grpc", "nowhere")]));
        assert!(message.contains("`listen.grpc`"), "{message}");
    }

    #[test]
    fn a_missing_file_is_an_error() {
        let sources = Sources {
            file: Some("/nonexistent/controller.toml".into()),
            ..Sources::default()
        };
        assert!(failure(&sources).contains("does not exist"));
    }
}
