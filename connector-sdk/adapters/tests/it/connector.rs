//! Capabilities made from a configuration, called without a controller.

use std::path::PathBuf;
use std::sync::Arc;

use fulcrum_adapters::config::Problem;
use fulcrum_adapters::secret::SecretSource;
use fulcrum_adapters::{Config, ConfigError, build_with};
use fulcrum_sdk::{Capability, Context, Failure};
use serde_json::Value;
use tempfile::TempDir;

/// A connector in a directory of its own.
pub(crate) struct Connector {
    pub(crate) directory: TempDir,
    capabilities: Vec<Arc<dyn Capability>>,
}

impl Connector {
    pub(crate) fn new(yaml: &str) -> Self {
        Self::with_secrets(yaml, &[])
    }

    pub(crate) fn with_secrets(yaml: &str, secrets: &[(&str, &str)]) -> Self {
        Self::in_directory(tempfile::tempdir().expect("tempdir"), yaml, secrets)
    }

    pub(crate) fn in_directory(directory: TempDir, yaml: &str, secrets: &[(&str, &str)]) -> Self {
        let path = directory.path().join("connector.yaml");
        let config = Config::parse(yaml, &path).unwrap_or_else(|error| panic!("{error}"));
        let source = SecretSource::given(secrets.iter().copied());
        let built = build_with(&config, source).unwrap_or_else(|error| panic!("{error}"));
        Self {
            directory,
            capabilities: built.capabilities,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Calls `capability` under the effect key `key-1`.
    pub(crate) async fn call(&self, capability: &str, input: Value) -> Result<Value, Failure> {
        self.call_as("key-1", capability, input).await
    }

    pub(crate) async fn call_as(
        &self,
        key: &str,
        capability: &str,
        input: Value,
    ) -> Result<Value, Failure> {
        let capability = self
            .capabilities
            .iter()
            .find(|candidate| candidate.contract().name == capability)
            .expect("a capability of that name");
        capability.call(&Context::detached(key), input).await
    }

    pub(crate) async fn refused(&self, capability: &str, input: Value) -> Failure {
        self.call(capability, input).await.expect_err("a failure")
    }
}

/// Everything that is wrong with a configuration.
pub(crate) fn problems(yaml: &str) -> Vec<Problem> {
    let directory = tempfile::tempdir().expect("tempdir");
    let path = directory.path().join("connector.yaml");
    let built = Config::parse(yaml, &path)
        .and_then(|config| build_with(&config, SecretSource::default()).map(drop));
    match built {
        Ok(()) => Vec::new(),
        Err(ConfigError::Invalid { problems, .. }) => problems,
        Err(other) => panic!("{other}"),
    }
}
