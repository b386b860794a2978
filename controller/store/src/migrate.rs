//! The schema: forward only, one migration a transaction, one controller at a time, while others work.
//!
//! Each migration commits together with its row in the ledger of migrations, under a lock that belongs to the
//! transaction: a migrator that dies anywhere leaves either all of a migration or nothing of it, and no lock. A
//! statement waits [`LOCK_BUDGET`] at most for a lock, because whoever comes after it waits, too; then the whole
//! migration makes room and is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use fulcrum_core::store::StoreError;
use sqlx::migrate::{Migrate, MigrateError as SqlxMigrateError, Migration, Migrator};
use sqlx::{PgConnection, PgPool};

use crate::problem::Problem;
use crate::upkeep::analyse_filled;
use crate::work::{Prelude, long_unit};
use crate::{partitions, versions};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// The ledger.
const LEDGER: &str = "_sqlx_migrations";

/// The oldest schema whose builds may go on, and start, beside this one's. Raised with a migration that takes away
/// what they use.
pub(crate) const READABLE_FROM: i64 = 1;

/// Longest wait of one statement for a lock (`lock_timeout` of [`Prelude::Upkeep`]).
pub const LOCK_BUDGET: Duration = Duration::from_secs(3);
/// How often a migration that met a lock is tried.
const TRIES_MAX: u32 = 20;
/// Pause in between, times the tries so far.
const PAUSE: Duration = Duration::from_millis(200);

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer Fulcrum has been here, and says that this build is too old for what it left.
    #[error(
        "the database has schema version {found}, this build knows up to {known}; start a newer build"
    )]
    Newer { found: i64, known: i64 },
    /// A migration that was applied is not the one that this build carries.
    #[error(
        "schema version {version} was applied with other content than this build carries; restore the build or the database it belongs to"
    )]
    Changed { version: i64 },
    /// The database failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What one transaction came to.
enum Step {
    /// One migration was applied.
    Applied(i64),
    /// Nothing is missing.
    UpToDate,
    Newer {
        found: i64,
    },
    Changed {
        version: i64,
    },
}

/// The newest schema that this build knows.
pub(crate) fn known() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or(0)
}

/// Applies what is missing and makes the coming days.
pub(crate) async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut applied = 0_u32;
    let mut tries = 0;
    loop {
        let (one, known) = (pool.clone(), known());
        match long_unit(async move { step(&one, known).await }).await {
            Ok(Step::Applied(version)) => {
                tracing::info!(schema = version, "the schema has changed");
                (applied, tries) = (applied + 1, 0);
            }
            Ok(Step::UpToDate) => break,
            Ok(Step::Newer { found }) => return Err(MigrateError::Newer { found, known }),
            Ok(Step::Changed { version }) => return Err(MigrateError::Changed { version }),
            // Another controller migrates, or a statement of theirs is in the way of ours.
            Err(StoreError::Full(why) | StoreError::Retry(why)) if tries < TRIES_MAX => {
                tries += 1;
                tracing::info!(tries, why, "a migration makes room and is tried again");
                tokio::time::sleep(PAUSE * tries).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let pool = pool.clone();
    let made = long_unit(async move {
        if applied > 0 {
            analyse_filled(&pool).await?;
        }
        partitions::make_ahead(&pool).await
    })
    .await?;
    let schema = known();
    tracing::info!(
        schema,
        applied,
        partitions_made = made,
        "the schema is up to date"
    );
    Ok(())
}

async fn step(pool: &PgPool, known: i64) -> Result<Step, Problem> {
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    sqlx::query_file!("queries/upkeep/migration_lock.sql")
        .execute(&mut *tx)
        .await?;
    let applied = ledger(&mut tx).await?;
    let newest = applied.keys().next_back().copied().unwrap_or(0);
    if newest > known && !versions::admits(&mut tx, newest, known).await? {
        return Ok(Step::Newer { found: newest });
    }
    let changed = MIGRATIONS.iter().find(|migration| {
        let stored = applied.get(&migration.version);
        stored.is_some_and(|checksum| *checksum != migration.checksum)
    });
    if let Some(migration) = changed {
        return Ok(Step::Changed {
            version: migration.version,
        });
    }
    let next = MIGRATIONS
        .iter()
        .find(|migration| !applied.contains_key(&migration.version));
    let Some(next) = next else {
        if newest == known {
            versions::admit_from(&mut tx, known, READABLE_FROM).await?;
        }
        tx.commit().await?;
        return Ok(Step::UpToDate);
    };
    apply(&mut tx, next).await?;
    tx.commit().await?;
    Ok(Step::Applied(next.version))
}

/// Which migrations were applied, with what content.
async fn ledger(
    connection: &mut PgConnection,
) -> Result<BTreeMap<i64, std::borrow::Cow<'static, [u8]>>, Problem> {
    connection
        .ensure_migrations_table(LEDGER)
        .await
        .map_err(problem)?;
    let applied = connection
        .list_applied_migrations(LEDGER)
        .await
        .map_err(problem)?;
    Ok(applied
        .into_iter()
        .map(|migration| (migration.version, migration.checksum))
        .collect())
}

async fn apply(connection: &mut PgConnection, migration: &Migration) -> Result<(), Problem> {
    connection.apply(LEDGER, migration).await.map_err(problem)?;
    Ok(())
}

fn problem(error: SqlxMigrateError) -> Problem {
    match error {
        SqlxMigrateError::Execute(error) | SqlxMigrateError::ExecuteMigration(error, _) => {
            error.into()
        }
        other => Problem::schema(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_runs_in_a_transaction_and_has_a_number_of_its_own() {
        let versions: Vec<i64> = MIGRATIONS
            .iter()
            .map(|migration| migration.version)
            .collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
        assert!(MIGRATIONS.iter().all(|migration| !migration.no_tx));
    }
}
