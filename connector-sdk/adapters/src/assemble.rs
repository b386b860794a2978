//! From configuration to capabilities.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fulcrum_sdk::{Capability, Contract};
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config::{AdapterConfig, CapabilityConfig, Config, ConfigError, Problems};
use crate::files::Folder;
use crate::http::Endpoint;
use crate::mail::Mailer;
use crate::operation::{Adapted, Operation, Schema};
use crate::secret::{Redactor, SecretSource, Vault};
use crate::sql::Database;
use crate::{files, http, mail, script, sql};

/// Largest timeout a capability may have, in seconds.
const TIMEOUT_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Longest name of a capability, in bytes.
const CAPABILITY_NAME_BYTES_MAX: usize = 128;

/// What a configuration builds to.
pub struct Built {
    /// The capabilities, in the order of the file.
    pub capabilities: Vec<Arc<dyn Capability>>,
    /// Knows every secret that was resolved; for whoever else writes what leaves the process.
    pub redactor: Arc<Redactor>,
}

/// The shared parts that capabilities refer to by name.
pub(crate) struct Parts {
    pub(crate) endpoints: Named<Endpoint>,
    pub(crate) databases: Named<Database>,
    pub(crate) mailers: Named<Mailer>,
    pub(crate) folders: Named<Folder>,
}

/// Parts of one kind. One that could not be built is known by name, so that its users are not reported too.
pub(crate) struct Named<T> {
    kind: &'static str,
    parts: BTreeMap<String, Option<Arc<T>>>,
}

impl<T> Named<T> {
    fn build<C>(
        kind: &'static str,
        configs: &BTreeMap<String, C>,
        mut build: impl FnMut(&str, &C) -> Option<T>,
    ) -> Self {
        let parts = configs
            .iter()
            .map(|(name, config)| (name.clone(), build(name, config).map(Arc::new)))
            .collect();
        Self { kind, parts }
    }

    /// The part that `name` refers to; an unknown one is noted.
    pub(crate) fn find(&self, name: &Spanned<String>, problems: &mut Problems) -> Option<Arc<T>> {
        match self.parts.get(&name.value) {
            Some(part) => part.clone(),
            None => {
                let known: Vec<&str> = self.parts.keys().map(String::as_str).collect();
                let known = match known.is_empty() {
                    true => "none is declared".to_owned(),
                    false => format!("declared: {}", known.join(", ")),
                };
                problems.note(
                    name,
                    format_args!("no {} is named `{}`; {known}", self.kind, name.value),
                );
                None
            }
        }
    }
}

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
    let parts = parts(config, &mut vault, &mut problems);

    let mut made = Vec::new();
    let mut seen = BTreeSet::new();
    for entry in &config.capabilities {
        if !seen.insert(entry.name.value.as_str()) {
            let name = &entry.name.value;
            problems.note(&entry.name, format_args!("`{name}` is declared twice"));
        }
        made.extend(capability(entry, config, &parts, &mut vault, &mut problems));
    }
    problems.finish(&config.path)?;

    // Only now does the vault know every secret.
    let redactor = Arc::new(vault.redactor());
    let capabilities = made
        .into_iter()
        .map(
            |Made {
                 contract,
                 input,
                 output,
                 operation,
             }| {
                let adapted =
                    Adapted::new(contract, input, output, Arc::clone(&redactor), operation);
                Arc::new(adapted) as Arc<dyn Capability>
            },
        )
        .collect();
    Ok(Built {
        capabilities,
        redactor,
    })
}

fn parts(config: &Config, vault: &mut Vault, problems: &mut Problems) -> Parts {
    let directory = config.directory();
    Parts {
        endpoints: Named::build("endpoint", &config.endpoints, |name, part| {
            Endpoint::build(name, part, directory, vault, problems)
        }),
        databases: Named::build("database", &config.databases, |name, part| {
            Database::build(name, part, directory, vault, problems)
        }),
        mailers: Named::build("mailer", &config.mailers, |_, part| {
            Mailer::build(part, directory, vault, problems)
        }),
        folders: Named::build("folder", &config.folders, |_, part| {
            Folder::build(part, directory, problems)
        }),
    }
}

struct Made {
    contract: Contract,
    input: Schema,
    output: Schema,
    operation: Box<dyn Operation>,
}

fn capability(
    entry: &CapabilityConfig,
    config: &Config,
    parts: &Parts,
    vault: &mut Vault,
    problems: &mut Problems,
) -> Option<Made> {
    if !is_name(&entry.name.value) {
        problems.note(
            &entry.name,
            format_args!(
                "`{}` is not the name of a capability: write words of a-z, 0-9 and `_` with dots between, as in `crm.contact.upsert`",
                entry.name.value
            ),
        );
    }
    if entry.timeout.duration().as_secs() > TIMEOUT_SECONDS_MAX {
        problems.note(&entry.name, "a timeout is at most 24h");
    }
    let input = schema(entry.input.as_ref(), problems)?;
    let output = schema(entry.output.as_ref(), problems)?;
    let mut contract = Contract::new(&entry.name.value, entry.effect.into())
        .version(entry.version)
        .description(&entry.description)
        .timeout(entry.timeout.duration())
        .schemas(input.document().clone(), output.document().clone());
    if let Some(idempotency) = entry.idempotency {
        contract = contract.idempotency(idempotency.into());
    }
    let operation = match entry.adapter(problems)? {
        AdapterConfig::Http(http) => http::build(http, &contract, parts, problems),
        AdapterConfig::Sql(sql) => sql::build(sql, &contract, parts, problems),
        AdapterConfig::Script(script) => {
            script::build(script, &contract, config.directory(), vault, problems)
        }
        AdapterConfig::Mail(mail) => mail::build(mail, &contract, parts, problems),
        AdapterConfig::Files(files) => files::build(files, &contract, parts, problems),
    }?;
    Some(Made {
        contract,
        input,
        output,
        operation,
    })
}

fn schema(document: Option<&Spanned<Value>>, problems: &mut Problems) -> Option<Schema> {
    match document {
        None => Some(Schema::anything()),
        Some(document) => problems.keep(document, Schema::compile(&document.value)),
    }
}

fn is_name(name: &str) -> bool {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    name.len() <= CAPABILITY_NAME_BYTES_MAX && name.split('.').all(word)
}
