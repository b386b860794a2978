//! A database by name, whichever it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_saphyr::Spanned;
use tokio::time::Instant;

use super::config::DatabaseConfig;
use super::fault::SqlFault;
use super::job::Job;
use super::postgres::PostgresDatabase;
use super::pruning::{BATCH_ROWS_MAX, BATCHES_MAX, KEPT_MIN, Pruning};
use super::sqlite::SqliteDatabase;
use super::statement::Dialect;
use crate::config::Problems;
use crate::secret::Vault;

/// How much later than the database the connector gives up.
const GRACE: Duration = Duration::from_secs(2);

/// A database that statements run on. Connects when first used.
pub struct Database {
    pub(super) name: Arc<str>,
    kind: Kind,
    pruning: Pruning,
}

#[derive(Clone)]
enum Kind {
    Postgres(PostgresDatabase),
    Sqlite(SqliteDatabase),
}

impl Database {
    /// Makes the pools. What is wrong is noted in `problems`.
    pub(crate) fn build(
        name: &str,
        config: &Spanned<DatabaseConfig>,
        directory: &Path,
        vault: &mut Vault,
        problems: &mut Problems,
    ) -> Option<Self> {
        let (kind, kept) = match &config.value {
            DatabaseConfig::Postgres(postgres) => (
                Kind::Postgres(PostgresDatabase::build(postgres, vault, problems)?),
                postgres.effects_kept,
            ),
            DatabaseConfig::Sqlite(sqlite) => (
                Kind::Sqlite(SqliteDatabase::build(sqlite, directory)),
                sqlite.effects_kept,
            ),
        };
        if kept.duration() < KEPT_MIN {
            problems.note(
                config,
                "`effects_kept` is at least 1d: a call that is repeated must find its answer",
            );
        }
        Some(Self {
            name: name.into(),
            kind,
            pruning: Pruning::new(kept.duration()),
        })
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.kind {
            Kind::Postgres(_) => Dialect::Postgres,
            Kind::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Runs `job` in its own task: when the caller is dropped the transaction still ends in order, and no connection
    /// goes back to the pool in the middle of one.
    pub(super) async fn run(&self, job: Job) -> Result<Value, SqlFault> {
        let kind = self.kind.clone();
        let is_keyed = job.key.is_some();
        let work = tokio::spawn(async move {
            let deadline = job.deadline;
            let run = async {
                match kind {
                    Kind::Postgres(database) => database.run(&job).await,
                    Kind::Sqlite(database) => database.run(&job).await,
                }
            };
            // The databases enforce the deadline themselves; this is for a server that went silent. Whatever was
            // begun is rolled back when the connection is dropped.
            match tokio::time::timeout_at(deadline + GRACE, run).await {
                Ok(result) => result,
                Err(_) => Err(SqlFault::Silent),
            }
        });
        let answer = work.await.map_err(SqlFault::Broken)??;
        if is_keyed && self.pruning.is_due(Instant::now()) {
            tokio::spawn(prune(
                Arc::clone(&self.name),
                self.kind.clone(),
                self.pruning.kept,
            ));
        }
        Ok(answer)
    }
}

/// Deletes what the ledger need not remember any more.
async fn prune(name: Arc<str>, kind: Kind, kept: Duration) {
    for _ in 0..BATCHES_MAX {
        let pruned = match &kind {
            Kind::Postgres(database) => database.prune(kept).await,
            Kind::Sqlite(database) => database.prune(kept).await,
        };
        match pruned {
            Ok(rows) => {
                tracing::debug!(database = %name, rows, "forgot old effects");
                if rows < u64::from(BATCH_ROWS_MAX) {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(database = %name, %error, "cannot forget old effects; will try again later");
                return;
            }
        }
    }
}
