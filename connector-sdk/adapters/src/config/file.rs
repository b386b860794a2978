//! The file as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{CapabilityConfig, ConfigError, Place, Problem};
use crate::files::FolderConfig;
use crate::http::EndpointConfig;
use crate::mail::MailerConfig;
use crate::sql::DatabaseConfig;

/// Largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: usize = 1024 * 1024;

/// A connector's configuration, as written. Relative paths in it start at the file's own directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where secrets are looked for besides the environment and systemd credentials.
    #[serde(default)]
    pub secrets: SecretsConfig,
    /// HTTP services, by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, Spanned<EndpointConfig>>,
    /// Databases, by name.
    #[serde(default)]
    pub databases: BTreeMap<String, Spanned<DatabaseConfig>>,
    /// Ways to send mail, by name.
    #[serde(default)]
    pub mailers: BTreeMap<String, Spanned<MailerConfig>>,
    /// Directories that capabilities may read or write, by name.
    #[serde(default)]
    pub folders: BTreeMap<String, Spanned<FolderConfig>>,
    /// What this connector offers.
    pub capabilities: Vec<CapabilityConfig>,
    /// The file this was read from.
    #[serde(skip)]
    pub path: PathBuf,
}

/// Where secrets are looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsConfig {
    /// A directory with one file for each secret, named like it.
    pub directory: Option<PathBuf>,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is too large, is not YAML, or has a key or a value that does not belong (with line and
    /// column).
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Reads `text` as if it stood in the file `path`, which need not exist.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        if text.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge {
                path: path.to_owned(),
                bytes: text.len(),
            });
        }
        let mut config: Self =
            serde_saphyr::from_str(text).map_err(|error| ConfigError::Invalid {
                path: path.to_owned(),
                problems: vec![Problem {
                    place: error
                        .location()
                        .map_or(Place { line: 1, column: 1 }, Place::from),
                    message: message(&error),
                }],
            })?;
        config.path = path.to_owned();
        Ok(config)
    }

    /// The directory that relative paths start from.
    pub fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        }
    }
}

/// The parser's words without its picture of the source, which may show a line that should not be logged.
fn message(error: &serde_saphyr::Error) -> String {
    error.without_snippet().to_string()
}
