//! The file as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{CapabilityConfig, ConfigError, directory_of, parse, read};
use crate::files::FolderConfig;
use crate::http::EndpointConfig;
use crate::mail::MailerConfig;
use crate::secret::SecretSource;
use crate::sql::DatabaseConfig;

/// A connector's configuration, as written. Relative paths in it start at the file's own directory, or where
/// `--data-dir` says.
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
    #[serde(skip)]
    directory: PathBuf,
}

/// Where secrets are looked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsConfig {
    /// A directory with one file for each secret, named like it.
    pub directory: Option<PathBuf>,
}

impl SecretsConfig {
    /// Where a process finds its secrets: its environment, the directory (which, if relative, starts at `base`), and
    /// systemd's credentials.
    pub fn source(&self, base: &Path) -> SecretSource {
        let directory = self.directory.as_ref().map(|path| base.join(path));
        SecretSource::of_process(directory.as_deref())
    }
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is too large, is not YAML, or has a key or a value that does not belong (with line and
    /// column).
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Ok(read::<Self>(path)?.at(path))
    }

    /// Reads `text` as if it stood in the file `path`, which need not exist.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Ok(parse::<Self>(text, path)?.at(path))
    }

    /// Lets relative paths start at `directory` instead of the file's own.
    #[must_use]
    pub fn with_directory(mut self, directory: &Path) -> Self {
        self.directory = directory.to_owned();
        self
    }

    /// The directory that relative paths start from.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn at(mut self, path: &Path) -> Self {
        self.path = path.to_owned();
        self.directory = directory_of(path).to_owned();
        self
    }
}
