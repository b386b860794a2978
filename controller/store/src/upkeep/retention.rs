//! Days past their keeping leave.
//!
//! 1. *Retire* the day: all of its runs have been closed for so long; what it held is logged.
//! 2. *Delete* its runs and what is kept by run, a batch a transaction.
//! 3. *Detach* its partitions, beside running inserts: that takes no lock that an insert waits for, and cannot be part
//!    of a transaction.
//! 4. *Delete* the day's objects, a batch at a time, if blobs are in object storage.
//! 5. *Drop* the detached tables, one a transaction; that of the blobs only when their objects are gone.
//!
//! Leaves of the installation log that speak of nobody any more leave after them.
//!
//! Each step finds out by itself how far the day has come, so that a clean-up that was killed anywhere goes on.

use std::time::Duration;

use fulcrum_audit::{Leaf, Notice};
use fulcrum_core::store::StoreError;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use super::leadership::{Leader, Step};
use super::{BATCH_ROWS, Retained};
use crate::audit;
use crate::blob::objects::Objects;
use crate::column::decode;
use crate::options::Route;
use crate::problem::Problem;
use crate::work::Prelude;

/// How often a lock of a partition is asked for before the day is left for the next round.
const TRIES_MAX: u32 = 5;
/// Pause before asking again, times the tries so far.
const PAUSE: Duration = Duration::from_millis(300);

/// Batches of objects that one round deletes of a day.
const OBJECT_BATCHES_MAX: u32 = 100;

/// What is kept clean.
pub(crate) struct Place {
    pub(crate) pool: PgPool,
    pub(crate) route: Route,
    pub(crate) objects: Option<Objects>,
}

macro_rules! made {
    ($step:expr) => {
        match $step {
            Step::Made(value) => value,
            Step::Deposed => return Ok(Step::Deposed),
        }
    };
}

/// One round: expired answers and tokens, then days, oldest first.
pub(crate) async fn retain(
    place: &Place,
    leader: Leader,
    keep_days: i32,
) -> Result<Step<Retained>, Problem> {
    let pool = &place.pool;
    let mut done = Retained::default();
    loop {
        let mut tx = made!(leader.begin(pool).await?);
        let batch = sqlx::query_file!("queries/upkeep/forget_requests.sql", i64::from(BATCH_ROWS));
        let deleted = batch.execute(&mut *tx).await?.rows_affected();
        tx.commit().await?;
        done.requests_deleted += deleted;
        if deleted < u64::from(BATCH_ROWS.unsigned_abs()) {
            break;
        }
    }
    let mut tx = made!(leader.begin(pool).await?);
    let batch = sqlx::query_file!("queries/upkeep/forget_tokens.sql", i64::from(BATCH_ROWS));
    done.tokens_deleted = batch.execute(&mut *tx).await?.rows_affected();
    sqlx::query_file!("queries/upkeep/forget_alarms.sql", super::ALARMS_MAX)
        .execute(&mut *tx)
        .await?;
    let days = sqlx::query_file_scalar!("queries/upkeep/days_past.sql", keep_days)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    for day in days {
        made!(drop_day(place, leader, day, keep_days, &mut done).await?);
    }
    loop {
        let mut tx = made!(leader.begin(pool).await?);
        let gone = sqlx::query_file_scalar!("queries/audit/forget.sql", i64::from(BATCH_ROWS))
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        if gone < i64::from(BATCH_ROWS) {
            break;
        }
    }
    Ok(Step::Made(done))
}

async fn drop_day(
    place: &Place,
    leader: Leader,
    day: i32,
    keep_days: i32,
    done: &mut Retained,
) -> Result<Step<()>, Problem> {
    let pool = &place.pool;
    let mut tx = made!(leader.begin(pool).await?);
    let row = sqlx::query_file!("queries/upkeep/retire_day.sql", day, keep_days)
        .fetch_one(&mut *tx)
        .await?;
    if let (Some(runs), Some(root)) = (row.runs, row.root) {
        let notice = Notice::DayLeft {
            day: row.day,
            runs: decode::count(runs)?,
            root,
        };
        audit::leaf::leave(&mut tx, &Leaf::notice(&notice)).await?;
    }
    tx.commit().await?;
    if !row.retired {
        done.days_held_open += 1;
        return Ok(Step::Made(()));
    }
    loop {
        let mut tx = made!(leader.begin(pool).await?);
        let deleted =
            sqlx::query_file_scalar!("queries/upkeep/delete_run_batch.sql", day, BATCH_ROWS)
                .fetch_one(&mut *tx)
                .await?;
        tx.commit().await?;
        done.runs_deleted += deleted.unsigned_abs();
        if deleted < i64::from(BATCH_ROWS) {
            break;
        }
    }
    let mut tries = 0;
    loop {
        match leave(place, leader, day).await {
            Ok(Step::Deposed) => return Ok(Step::Deposed),
            Ok(Step::Made(gone)) => {
                done.days_dropped += u32::from(gone);
                done.days_in_the_way += u32::from(!gone);
                return Ok(Step::Made(()));
            }
            // Somebody reads the day, or a long transaction is open. Detaching goes on where it stopped.
            Err(problem) => match StoreError::from(problem) {
                StoreError::Full(why) | StoreError::Retry(why) if tries + 1 < TRIES_MAX => {
                    tries += 1;
                    tracing::debug!(day, tries, why, "a day cannot leave yet");
                    tokio::time::sleep(PAUSE * tries).await;
                }
                StoreError::Full(why) | StoreError::Retry(why) => {
                    tracing::warn!(
                        day,
                        why,
                        "a day past its keeping cannot leave; trying again later"
                    );
                    done.days_in_the_way += 1;
                    return Ok(Step::Made(()));
                }
                error => return Err(error.into()),
            },
        }
    }
}

/// Detaches and drops what is left of a day; true when it is gone.
async fn leave(place: &Place, leader: Leader, day: i32) -> Result<Step<bool>, Problem> {
    let (pool, route) = (&place.pool, place.route);
    let mut tx = made!(leader.begin(pool).await?);
    let tables = sqlx::query_file!("queries/upkeep/day_tables.sql", day)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    let mut gone = true;
    for table in tables {
        if table.attached {
            // A leader that is deposed between its proof and here detaches what its successor would detach, too: the
            // day is logged and empty by now.
            detach(pool, route, &table.parent, &table.name, table.detaching).await?;
        }
        if table.parent == "blobs" && !made!(delete_objects(place, leader, day, &table.name).await?)
        {
            gone = false;
            continue;
        }
        let mut tx = made!(leader.begin(pool).await?);
        gone &= sqlx::query_file_scalar!("queries/upkeep/drop_day_table.sql", table.name)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
    }
    Ok(Step::Made(gone))
}

/// Deletes the objects of a day whose table of blobs is detached; false while some are left.
async fn delete_objects(
    place: &Place,
    leader: Leader,
    day: i32,
    table: &str,
) -> Result<Step<bool>, Problem> {
    let mut tx = made!(leader.begin(&place.pool).await?);
    let names = sqlx::query_file_scalar!("queries/blob/names_objects.sql", table)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    let Some(objects) = &place.objects else {
        if names {
            tracing::warn!(
                day,
                "a day past its keeping has objects, and no object storage is configured (blobs.url)"
            );
        }
        return Ok(Step::Made(!names));
    };
    for _ in 0..OBJECT_BATCHES_MAX {
        made!(leader.begin(&place.pool).await?).commit().await?;
        match objects.delete_some(&place.pool, day, names).await {
            Ok(true) => return Ok(Step::Made(true)),
            Ok(false) => {}
            Err(Problem::Store(error @ StoreError::BlobsUnavailable { .. })) => {
                tracing::warn!(day, %error, "the objects of a day stay; trying again later");
                return Ok(Step::Made(false));
            }
            Err(problem) => return Err(problem),
        }
    }
    Ok(Step::Made(false))
}

/// The names come from the catalogue and match the pattern of a day's table, so that they need no quotes.
async fn detach(
    pool: &PgPool,
    route: Route,
    parent: &str,
    name: &str,
    detaching: bool,
) -> Result<(), Problem> {
    let how = match (route, detaching) {
        (_, true) => "finalize",
        (Route::Direct, false) => "concurrently",
        // A pooler gives us transactions only. The lock that this takes is asked for briefly, and inserts wait briefly.
        (Route::TransactionPooler, false) => "",
    };
    let statement = AssertSqlSafe(format!(
        "alter table {parent} detach partition {name} {how}"
    ));
    match route {
        Route::Direct => {
            let mut connection = pool.acquire().await?;
            connection
                .execute("set lock_timeout = '3s'; set statement_timeout = '60s'")
                .await?;
            let detached = connection.execute(statement).await;
            // A connection that fails at this is closed by the pool.
            connection
                .execute("reset lock_timeout; reset statement_timeout")
                .await?;
            detached?;
        }
        Route::TransactionPooler => {
            let mut tx = Prelude::Upkeep.begin(pool).await?;
            tx.execute(statement).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}
