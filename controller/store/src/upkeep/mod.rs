//! Keeping the database bounded: partitions ahead, days past their time, expired answers and tokens. Every call is
//! idempotent and safe in many controllers at once; a loop calls them now and then.

use fulcrum_core::store::StoreError;
use sqlx::PgPool;

use crate::PgStore;
use crate::partitions::make_ahead;
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// Rows deleted by one statement.
const BATCH_ROWS: i32 = 1_000;

/// What a round of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Days that left.
    pub days_dropped: u32,
    /// Days past their time on which a run is still open.
    pub days_held_open: u32,
    /// Runs that left with them.
    pub runs_deleted: u64,
    /// Expired answers to requests.
    pub requests_deleted: u64,
    /// Join tokens a week past their end.
    pub tokens_deleted: u64,
}

/// Upkeep.
#[derive(Debug, Clone)]
pub struct Upkeep {
    pool: PgPool,
}

impl PgStore {
    /// Upkeep.
    #[must_use]
    pub fn upkeep(&self) -> Upkeep {
        Upkeep {
            pool: self.pools.report.clone(),
        }
    }
}

impl Upkeep {
    /// Makes the partitions of the coming days; tells how many it made.
    pub async fn make_days_ahead(&self) -> Result<u32, StoreError> {
        let pool = self.pool.clone();
        unit(async move { Ok(make_ahead(&pool).await?.unsigned_abs()) }).await
    }

    /// Days from today on for which partitions stand ready; an alarm below three.
    pub async fn runway_days(&self) -> Result<u32, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let days = sqlx::query_file_scalar!("queries/upkeep/runway.sql")
                .fetch_one(&pool)
                .await?;
            Ok(u32::try_from(days).unwrap_or(0))
        })
        .await
    }

    /// Drops days older than `keep_days` whose runs are all closed, with their runs, and forgets what has expired.
    pub async fn retain(&self, keep_days: u32) -> Result<Retained, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut done = Retained {
                requests_deleted: forget_requests(&pool).await?,
                tokens_deleted: forget_tokens(&pool).await?,
                ..Retained::default()
            };
            let keep = i32::try_from(keep_days).unwrap_or(i32::MAX);
            let days = sqlx::query_file_scalar!("queries/upkeep/old_days.sql", keep)
                .fetch_all(&pool)
                .await?;
            for day in days {
                drop_day(&pool, day, &mut done).await?;
            }
            Ok(done)
        })
        .await
    }
}

/// Logs what the day held, deletes its runs in batches, drops its partitions: each step a transaction of its own, and
/// each goes on where the one before it stopped.
async fn drop_day(pool: &PgPool, day: i32, done: &mut Retained) -> Result<(), Problem> {
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    let logged = sqlx::query_file_scalar!("queries/upkeep/log_day.sql", day)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    if !logged {
        done.days_held_open += 1;
        return Ok(());
    }
    loop {
        let mut tx = Prelude::Upkeep.begin(pool).await?;
        let deleted = sqlx::query_file_scalar!("queries/upkeep/delete_runs.sql", day, BATCH_ROWS)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        done.runs_deleted += deleted.unsigned_abs();
        if deleted < i64::from(BATCH_ROWS) {
            break;
        }
    }
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    let dropped = sqlx::query_file_scalar!("queries/upkeep/drop_day.sql", day)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    if dropped {
        done.days_dropped += 1;
    }
    Ok(())
}

async fn forget_requests(pool: &PgPool) -> Result<u64, Problem> {
    let mut total = 0;
    loop {
        let mut tx = Prelude::Upkeep.begin(pool).await?;
        let batch = sqlx::query_file!("queries/upkeep/forget_requests.sql", i64::from(BATCH_ROWS));
        let deleted = batch.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        total += deleted;
        if deleted < u64::from(BATCH_ROWS.unsigned_abs()) {
            return Ok(total);
        }
    }
}

async fn forget_tokens(pool: &PgPool) -> Result<u64, Problem> {
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    let batch = sqlx::query_file!("queries/upkeep/forget_tokens.sql", i64::from(BATCH_ROWS));
    let deleted = batch.execute(&mut *tx).await?.rows_affected();
    tx.commit().await?;
    Ok(deleted)
}
