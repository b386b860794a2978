//! A database cluster set up as docs/performance.md recommends it to a server of two cores and four gigabytes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;

/// What differs from PostgreSQL's own defaults. Durability is left on: `fsync`, `full_page_writes` and
/// `synchronous_commit` keep their defaults, and the report shows them.
const RECOMMENDED: &[(&str, &str)] = &[
    ("shared_buffers", "1GB"),
    ("effective_cache_size", "3GB"),
    ("max_wal_size", "4GB"),
    ("min_wal_size", "1GB"),
    ("checkpoint_timeout", "15min"),
    ("wal_compression", "lz4"),
    ("random_page_cost", "1.1"),
    ("jit", "off"),
];

/// What the report shows beside them.
const SHOWN: &[&str] = &[
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_buffers",
    "wal_sync_method",
    "checkpoint_completion_target",
    "max_connections",
    "autovacuum",
    "shared_preload_libraries",
];

/// A cluster of its own with changed settings, started.
pub(crate) fn start(changed: &[(String, String)]) -> anyhow::Result<Arc<Postgres>> {
    let postgres = Postgres::start()?;
    let recommended = RECOMMENDED.iter().map(|(name, value)| (*name, *value));
    let changed = changed
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in recommended.chain(changed) {
        // Until a library is loaded the server takes its settings (`library.setting`) for single databases only.
        let scope = if name.contains('.') {
            "database fulcrum"
        } else {
            "system"
        };
        postgres.value(&format!("alter {scope} set {name} = '{value}'"))?;
    }
    // Some of them are read at the start only.
    postgres.crash()?;
    postgres.up()?;
    Ok(Arc::new(postgres))
}

/// The settings in force, by name.
pub(crate) fn settings(postgres: &Postgres) -> anyhow::Result<Vec<(String, String)>> {
    let names = RECOMMENDED.iter().map(|(name, _)| *name);
    let names: Vec<_> = names.chain(SHOWN.iter().copied()).collect();
    let read = |name: &str| anyhow::Ok((name.to_owned(), postgres.value(&format!("show {name}"))?));
    names.into_iter().map(read).collect()
}

/// Asks for a checkpoint after a while, from a thread of its own. Join it to learn whether there was one.
pub(crate) fn checkpoint_in(
    postgres: &Arc<Postgres>,
    pause: Duration,
) -> tokio::task::JoinHandle<anyhow::Result<()>> {
    let postgres = Arc::clone(postgres);
    tokio::spawn(async move {
        tokio::time::sleep(pause).await;
        tokio::task::spawn_blocking(move || postgres.value("checkpoint"))
            .await?
            .context("checkpoint")?;
        Ok(())
    })
}
