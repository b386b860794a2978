//! How to reach the database and how much of it to use.

use std::time::Duration;

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
        }
    }
}
