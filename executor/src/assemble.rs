//! From configuration to capabilities.

use std::collections::BTreeMap;
use std::sync::Arc;

use fulcrum_adapters::config::Problems;
use fulcrum_adapters::http::Endpoint;
use fulcrum_adapters::operation::{Adapted, Schema};
use fulcrum_adapters::secret::{SecretSource, Vault};
use fulcrum_adapters::{Built, ConfigError};
use fulcrum_sdk::Capability;

use crate::Config;
use crate::chat::{Model, model_chat};
use crate::render::text_render;

/// Builds the capabilities of `config`, resolving its secrets from the process's environment, its secrets directory
/// and systemd's credentials. Must be called within a Tokio runtime; connects to nothing.
///
/// # Errors
/// [`ConfigError::Invalid`] with everything that is wrong, each problem with its line and column.
pub fn build(config: &Config) -> Result<Built, ConfigError> {
    build_with(config, config.secrets.source(config.directory()))
}

/// As [`build`], with secrets from `source` only.
///
/// # Errors
/// As [`build`].
pub fn build_with(config: &Config, source: SecretSource) -> Result<Built, ConfigError> {
    let mut vault = Vault::new(source);
    let mut problems = Problems::default();
    let models = models(config, &mut vault, &mut problems);
    problems.finish(&config.path)?;

    let redactor = Arc::new(vault.redactor());
    let mut capabilities: Vec<Arc<dyn Capability>> = vec![Arc::new(text_render())];
    if !models.is_empty() {
        let (contract, operation) = model_chat(models);
        let input = Schema::compile(&contract.input_schema).expect("a derived schema compiles");
        let output = Schema::compile(&contract.output_schema).expect("a derived schema compiles");
        let chat = Adapted::new(contract, input, output, Arc::clone(&redactor), operation);
        capabilities.push(Arc::new(chat));
    }
    Ok(Built {
        capabilities,
        redactor,
    })
}

fn models(config: &Config, vault: &mut Vault, problems: &mut Problems) -> BTreeMap<String, Model> {
    let endpoints: BTreeMap<&String, Option<Arc<Endpoint>>> = config
        .endpoints
        .iter()
        .map(|(name, endpoint)| {
            let built = Endpoint::build(name, endpoint, config.directory(), vault, problems);
            (name, built.map(Arc::new))
        })
        .collect();
    let mut models = BTreeMap::new();
    for (alias, model) in &config.models {
        match endpoints.get(&model.endpoint.value) {
            Some(Some(endpoint)) => {
                models.insert(
                    alias.clone(),
                    Model {
                        endpoint: Arc::clone(endpoint),
                        name: model.model.clone(),
                        timeout: model.timeout.duration(),
                        output_tokens_max: model.output_tokens_max,
                    },
                );
            }
            // What is wrong with it is noted already.
            Some(None) => {}
            None => problems.note(
                &model.endpoint,
                format_args!("no endpoint is named `{}`", model.endpoint.value),
            ),
        }
    }
    models
}
