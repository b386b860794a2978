//! One entry of `capabilities`: a contract and the adapter that keeps it.

use fulcrum_sdk::{EffectClass, Idempotency};
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use super::{Period, Place, Problems};
use crate::files::FilesConfig;
use crate::http::HttpConfig;
use crate::mail::MailConfig;
use crate::script::ScriptConfig;
use crate::sql::SqlConfig;

/// How long a call may take when the configuration does not say.
const TIMEOUT_DEFAULT: Period = Period::seconds(30);

/// A capability: what it promises, and exactly one adapter.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityConfig {
    /// The name workflows call, such as `crm.contact.upsert`.
    pub name: Spanned<String>,
    /// The contract's version; raise it when the meaning changes.
    #[serde(default = "version_default")]
    pub version: u32,
    /// One line for people and agents.
    #[serde(default)]
    pub description: String,
    /// What a call does to the world.
    pub effect: EffectName,
    /// What a second call with the same effect key does; when absent `natural` for a read, else `none`.
    pub idempotency: Option<IdempotencyName>,
    /// How long one call may take.
    #[serde(default = "timeout_default")]
    pub timeout: Period,
    /// JSON Schema of the input; anything when absent.
    pub input: Option<Spanned<Value>>,
    /// JSON Schema of the output; anything when absent.
    pub output: Option<Spanned<Value>>,
    /// A request to an HTTP service.
    pub http: Option<Spanned<HttpConfig>>,
    /// A statement on a database.
    pub sql: Option<Spanned<SqlConfig>>,
    /// A program.
    pub script: Option<Spanned<ScriptConfig>>,
    /// A mail.
    pub mail: Option<Spanned<MailConfig>>,
    /// A file operation.
    pub files: Option<Spanned<FilesConfig>>,
}

/// The adapter of a capability.
#[derive(Debug)]
pub enum AdapterConfig<'a> {
    /// A request to an HTTP service.
    Http(&'a Spanned<HttpConfig>),
    /// A statement on a database.
    Sql(&'a Spanned<SqlConfig>),
    /// A program.
    Script(&'a Spanned<ScriptConfig>),
    /// A mail.
    Mail(&'a Spanned<MailConfig>),
    /// A file operation.
    Files(&'a Spanned<FilesConfig>),
}

impl CapabilityConfig {
    /// The one adapter of this entry; none or several are noted as a problem.
    pub fn adapter(&self, problems: &mut Problems) -> Option<AdapterConfig<'_>> {
        let named: Vec<AdapterConfig<'_>> = [
            self.http.as_ref().map(AdapterConfig::Http),
            self.sql.as_ref().map(AdapterConfig::Sql),
            self.script.as_ref().map(AdapterConfig::Script),
            self.mail.as_ref().map(AdapterConfig::Mail),
            self.files.as_ref().map(AdapterConfig::Files),
        ]
        .into_iter()
        .flatten()
        .collect();
        match <[AdapterConfig<'_>; 1]>::try_from(named) {
            Ok([adapter]) => Some(adapter),
            Err(named) => {
                let place: Place = (&self.name).into();
                problems.note(
                    place,
                    format_args!(
                        "`{}` names {} adapters; write exactly one of http, sql, script, mail, files",
                        self.name.value,
                        named.len()
                    ),
                );
                None
            }
        }
    }
}

/// The effect class as written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectName {
    /// Changes nothing.
    Read,
    /// Can be undone.
    Reversible,
    /// Cannot be undone.
    Irreversible,
    /// Speaks for the owner to outsiders.
    Outward,
}

impl From<EffectName> for EffectClass {
    fn from(name: EffectName) -> Self {
        match name {
            EffectName::Read => Self::Read,
            EffectName::Reversible => Self::Reversible,
            EffectName::Irreversible => Self::Irreversible,
            EffectName::Outward => Self::Outward,
        }
    }
}

/// The idempotency as written.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdempotencyName {
    /// Doing it twice is the same as doing it once.
    Natural,
    /// Doing it twice with one effect key is the same as doing it once.
    Keyed,
    /// Doing it twice does it twice.
    None,
}

impl From<IdempotencyName> for Idempotency {
    fn from(name: IdempotencyName) -> Self {
        match name {
            IdempotencyName::Natural => Self::Natural,
            IdempotencyName::Keyed => Self::Keyed,
            IdempotencyName::None => Self::None,
        }
    }
}

fn version_default() -> u32 {
    1
}

fn timeout_default() -> Period {
    TIMEOUT_DEFAULT
}
