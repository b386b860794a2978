//! The schema: forward only, one transaction, one at a time.

use fulcrum_core::store::StoreError;
use sqlx::PgPool;
use sqlx::migrate::{MigrateError as SqlxMigrateError, Migrator};

use crate::partitions;
use crate::problem::Problem;
use crate::work::{Prelude, unit};

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// A newer Fulcrum has been here.
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

enum Outcome {
    Done,
    Newer { found: i64 },
    Changed { version: i64 },
}

/// Applies what is missing, in one transaction under a transaction-scoped lock, and makes the coming days.
pub(crate) async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let pool = pool.clone();
    let known = MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    match unit(async move { apply(&pool, known).await }).await? {
        Outcome::Done => Ok(()),
        Outcome::Newer { found } => Err(MigrateError::Newer { found, known }),
        Outcome::Changed { version } => Err(MigrateError::Changed { version }),
    }
}

async fn apply(pool: &PgPool, known: i64) -> Result<Outcome, Problem> {
    let mut migrator = Migrator::with_migrations(MIGRATIONS.iter().cloned().collect());
    // The driver's own lock belongs to the session, which a transaction pooler does not keep.
    migrator.set_locking(false);
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    sqlx::query_file!("queries/upkeep/migration_lock.sql")
        .execute(&mut *tx)
        .await?;
    match migrator.run_direct(None, &mut *tx, false).await {
        Ok(()) => {}
        Err(SqlxMigrateError::VersionMissing(found)) if found > known => {
            return Ok(Outcome::Newer { found });
        }
        Err(
            SqlxMigrateError::VersionMismatch(version) | SqlxMigrateError::VersionMissing(version),
        ) => {
            return Ok(Outcome::Changed { version });
        }
        Err(SqlxMigrateError::Execute(error) | SqlxMigrateError::ExecuteMigration(error, _)) => {
            return Err(error.into());
        }
        Err(error) => return Err(Problem::schema(error.to_string())),
    }
    tx.commit().await?;
    let made = partitions::make_ahead(pool).await?;
    tracing::info!(
        schema = known,
        partitions_made = made,
        "the schema is up to date"
    );
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let versions: Vec<i64> = MIGRATIONS
            .iter()
            .map(|migration| migration.version)
            .collect();
        assert!(
            versions
                .iter()
                .copied()
                .eq(1..=i64::try_from(versions.len()).unwrap()),
            "{versions:?}"
        );
    }
}
