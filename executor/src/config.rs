//! The executor's configuration: one YAML file, or none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fulcrum_adapters::ConfigError;
use fulcrum_adapters::config::{Period, SecretsConfig, directory_of, parse, read};
use fulcrum_adapters::http::EndpointConfig;
use serde::Deserialize;
use serde_saphyr::Spanned;

const MODEL_TIMEOUT_DEFAULT: Period = Period::seconds(120);

/// An executor's configuration, as written. Relative paths in it start at the file's own directory. The default is
/// an executor without models.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where secrets are looked for besides the environment and systemd credentials.
    #[serde(default)]
    pub secrets: SecretsConfig,
    /// Services that offer an OpenAI-compatible interface, by name, as in a connector's configuration.
    #[serde(default)]
    pub endpoints: BTreeMap<String, Spanned<EndpointConfig>>,
    /// Models, by the name that callers use; `default` is taken when a caller names none.
    #[serde(default)]
    pub models: BTreeMap<String, ModelConfig>,
    /// The file this was read from.
    #[serde(skip)]
    pub path: PathBuf,
}

/// A model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The name of its endpoint.
    pub endpoint: Spanned<String>,
    /// Its name there.
    pub model: String,
    /// How long one answer may take.
    #[serde(default = "timeout_default")]
    pub timeout: Period,
    /// Most tokens of an answer, whatever a caller asks for; the service's own limit when absent.
    pub output_tokens_max: Option<u32>,
}

impl Config {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is not YAML, or has a key or a value that does not belong (with line and column).
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

    /// The directory that relative paths start from.
    pub fn directory(&self) -> &Path {
        directory_of(&self.path)
    }

    fn at(mut self, path: &Path) -> Self {
        self.path = path.to_owned();
        self
    }
}

fn timeout_default() -> Period {
    MODEL_TIMEOUT_DEFAULT
}
