//! A database by name, whichever it is.

use std::path::Path;

use serde_json::Value;
use serde_saphyr::Spanned;

use super::config::DatabaseConfig;
use super::fault::SqlFault;
use super::job::Job;
use super::postgres::PostgresDatabase;
use super::sqlite::SqliteDatabase;
use super::statement::Dialect;
use crate::config::Problems;
use crate::secret::Vault;

/// A database that statements run on. Connects when first used.
pub struct Database {
    pub(super) name: String,
    kind: Kind,
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
        let kind = match &config.value {
            DatabaseConfig::Postgres(postgres) => {
                Kind::Postgres(PostgresDatabase::build(postgres, vault, problems)?)
            }
            DatabaseConfig::Sqlite(sqlite) => {
                Kind::Sqlite(SqliteDatabase::build(sqlite, directory))
            }
        };
        Some(Self {
            name: name.to_owned(),
            kind,
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
        work.await.map_err(SqlFault::Broken)?
    }
}

/// How much later than the database the connector gives up.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);
