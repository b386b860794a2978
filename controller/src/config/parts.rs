//! The typed parts. Units are in the names. What each means is said once, in `default.toml`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use fulcrum_core::limits::Limits;
use fulcrum_core::time::Millis;
use fulcrum_store::{AccessKey, ObjectOptions};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::keys::KeySource;
use crate::keys::command::KeyCommand;
use crate::keys::environment::KeyVariable;
use crate::keys::file::KeyFile;
use crate::server::ServerLimits;

/// Everything. Made by [`load`](super::load()) only, and taken apart by `app.rs` only.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the parts carry their docs")]
pub struct Config {
    pub database: DatabaseConfig,
    pub listen: ListenConfig,
    pub identity: IdentityConfig,
    pub keys: KeysConfig,
    pub server: ServerLimits,
    pub blobs: BlobsConfig,
    pub limits: Limits,
    pub lease: LeaseConfig,
    pub lanes: LanesConfig,
    pub loops: LoopsConfig,
    pub retention: RetentionConfig,
    pub telemetry: TelemetryConfig,
    pub shutdown: ShutdownConfig,
}

/// Where the state lives, and how many connections it may cost.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct DatabaseConfig {
    pub url: SecretString,
    pub control_connections_max: u32,
    pub commit_connections_max: u32,
    pub request_connections_max: u32,
    pub report_connections_max: u32,
    pub acquire_timeout_ms: u64,
    pub route: DatabaseRoute,
    pub durability: DatabaseDurability,
}

/// What stands between a controller and the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseRoute {
    /// Nothing.
    Direct,
    /// A pooler in transaction mode.
    TransactionPooler,
}

/// Whether a database that may lose commits is acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseDurability {
    /// It is not.
    Required,
    /// It is: everything in it can be thrown away.
    Unsafe,
}

impl From<DatabaseRoute> for fulcrum_store::Route {
    fn from(route: DatabaseRoute) -> Self {
        match route {
            DatabaseRoute::Direct => Self::Direct,
            DatabaseRoute::TransactionPooler => Self::TransactionPooler,
        }
    }
}

impl From<DatabaseDurability> for fulcrum_store::Durability {
    fn from(durability: DatabaseDurability) -> Self {
        match durability {
            DatabaseDurability::Required => Self::Required,
            DatabaseDurability::Unsafe => Self::Unsafe,
        }
    }
}

/// Addresses to listen on.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct ListenConfig {
    pub grpc: SocketAddr,
    pub enrol: SocketAddr,
    pub http: SocketAddr,
    pub grpc_endpoint: String,
    pub enrol_endpoint: String,
}

/// Certificates and join tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct IdentityConfig {
    pub server_names: Vec<String>,
    pub certificate_life_s: u64,
    pub server_certificate_life_s: u64,
    pub join_token_life_s: u64,
}

/// The key-encryption keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct KeysConfig {
    pub sources: Vec<KeySourceConfig>,
}

/// Where one of them comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySourceConfig {
    /// A file that only its owner may use.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
    /// A program with its arguments, which prints it.
    Command(Vec<String>),
}

impl From<&KeySourceConfig> for Box<dyn KeySource> {
    fn from(config: &KeySourceConfig) -> Self {
        match config.clone() {
            KeySourceConfig::File(path) => Box::new(KeyFile::at(path)),
            KeySourceConfig::Environment(name) => Box::new(KeyVariable::of_this_process(name)),
            KeySourceConfig::Command(argv) => Box::new(KeyCommand::new(argv)),
        }
    }
}

impl KeysConfig {
    /// The sources, in order.
    #[must_use]
    pub fn sources(&self) -> Vec<Box<dyn KeySource>> {
        self.sources.iter().map(Into::into).collect()
    }
}

/// Where payloads above the inline limit are kept.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct BlobsConfig {
    pub url: String,
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: SecretString,
    pub timeout_ms: u64,
}

impl BlobsConfig {
    /// Object storage, if there is one.
    #[must_use]
    pub fn objects(&self) -> Option<ObjectOptions> {
        let said = |text: &String| (!text.is_empty()).then(|| text.clone());
        Some(ObjectOptions {
            url: said(&self.url)?,
            endpoint: said(&self.endpoint),
            region: said(&self.region),
            access_key: said(&self.access_key_id).map(|id| AccessKey {
                id,
                secret: self.secret_access_key.expose_secret().to_owned(),
            }),
            timeout: Duration::from_millis(self.timeout_ms),
        })
    }
}

/// Leases of tasks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct LeaseConfig {
    pub ttl_ms: u64,
    pub heartbeat_ms: u64,
    pub reassert_ms: u64,
}

/// Lanes and group commit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct LanesConfig {
    pub count: u32,
    pub queue_max: u32,
    pub flush_commands_max: u32,
    pub flush_beside_runs_min: u32,
    pub cached_runs_max: u32,
    pub snapshot_every_events: u32,
}

/// Periods of the maintenance loops.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct LoopsConfig {
    pub tick_ms: u64,
    pub sweep_ms: u64,
    pub mail_age_ms: u64,
    pub certificates_ms: u64,
    pub partitions_ms: u64,
    pub retention_ms: u64,
}

/// How long closed runs are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct RetentionConfig {
    pub days: u32,
}

/// Logs and traces.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct TelemetryConfig {
    pub log_filter: String,
    pub log_format: LogFormat,
    pub otlp_endpoint: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The end of the process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "described in default.toml")]
pub struct ShutdownConfig {
    pub deadline_ms: u64,
}

impl IdentityConfig {
    /// Life of a caller's certificate.
    #[must_use]
    pub fn certificate_life(&self) -> Millis {
        Millis::from_secs(self.certificate_life_s)
    }

    /// Life of a controller's own certificate.
    #[must_use]
    pub fn server_certificate_life(&self) -> Millis {
        Millis::from_secs(self.server_certificate_life_s)
    }

    /// Life of a join token when none is asked for.
    #[must_use]
    pub fn join_token_life(&self) -> Millis {
        Millis::from_secs(self.join_token_life_s)
    }
}

impl ShutdownConfig {
    /// The deadline of the whole shutdown.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }
}
