//! How to reach the database and how much of it to use.

use std::fmt;
use std::time::Duration;

use fulcrum_core::limits::Limits;

/// Options of a [`crate::PgStore`].
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `postgres://user:password@host:port/database`.
    pub url: String,
    /// Connections.
    pub pools: PoolSizes,
    /// What stands between us and Postgres.
    pub route: Route,
    /// Whether a server that may lose commits is acceptable. Never in production.
    pub durability: Durability,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
    /// Where payloads go.
    pub blobs: BlobOptions,
}

/// Where payloads go by their size.
#[derive(Debug, Clone)]
pub struct BlobOptions {
    /// Bytes of the largest payload that is no blob.
    pub inline_bytes_max: u32,
    /// Where the others go. `None`: into the database.
    pub objects: Option<ObjectOptions>,
}

/// Object storage.
#[derive(Debug, Clone)]
pub struct ObjectOptions {
    /// `file:///folder`, which must exist, or `s3://bucket/prefix`.
    pub url: String,
    /// Where S3 is, if not at Amazon's.
    pub endpoint: Option<String>,
    /// The region of the bucket, unless the environment says it.
    pub region: Option<String>,
    /// Who asks, unless the environment or the machine says it.
    pub access_key: Option<AccessKey>,
    /// Longest wait for what a commit or a reader needs.
    pub timeout: Duration,
}

/// A key to a bucket.
#[derive(Clone)]
pub struct AccessKey {
    /// Its name.
    pub id: String,
    /// What proves it.
    pub secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Connections per purpose, so that heavy reading never starves the leases. Their sum, with [`PoolSizes::WATCH`], is at
/// most [`PoolSizes::CONNECTIONS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSizes {
    /// Leases, heartbeats, due rows.
    pub control: u32,
    /// Commits that one statement makes. As many as lanes keep busy: more would only be colder.
    pub commit: u32,
    /// Other commits, and the reads that lead to them.
    pub request: u32,
    /// Listings and upkeep.
    pub report: u32,
}

/// What stands between us and Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Route {
    /// Nothing: statements are prepared once per connection.
    #[default]
    Direct,
    /// A pooler in transaction mode: no prepared statement outlives its transaction.
    TransactionPooler,
}

/// Whether a server that may lose commits is acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// `fsync` and `synchronous_commit` must be on.
    #[default]
    Required,
    /// For throwaway databases.
    Unsafe,
}

impl PoolSizes {
    /// The most connections one controller may hold.
    pub const CONNECTIONS_MAX: u32 = 20;
    /// Connections besides the pools, for what goes on all the time: one asks, one listens.
    pub const WATCH: u32 = 2;

    /// All connections together.
    #[must_use]
    pub const fn sum(self) -> u32 {
        self.control
            .saturating_add(self.commit)
            .saturating_add(self.request)
            .saturating_add(self.report)
            .saturating_add(Self::WATCH)
    }
}

impl Default for PoolSizes {
    fn default() -> Self {
        Self {
            control: 4,
            commit: 2,
            request: 8,
            report: 4,
        }
    }
}

impl StoreOptions {
    /// Default options for a database.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            pools: PoolSizes::default(),
            route: Route::default(),
            durability: Durability::default(),
            acquire_timeout: Duration::from_secs(5),
            blobs: BlobOptions::default(),
        }
    }
}

impl Default for BlobOptions {
    fn default() -> Self {
        Self {
            inline_bytes_max: Limits::default().payload_inline_bytes_max,
            objects: None,
        }
    }
}
