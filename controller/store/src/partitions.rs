//! The days of the timeline.

use std::collections::BTreeSet;

use fulcrum_core::store::Commit;
use sqlx::PgPool;

use crate::problem::Problem;
use crate::upkeep::alarm::{AlarmKind, raise};
use crate::work::Prelude;

/// Partitions are made so many days ahead.
pub(crate) const DAYS_AHEAD: i32 = 14;

const DAY_MS: u64 = 86_400_000;

/// Makes the days on which anything in this batch was born; tells how many partitions it made. Somebody should have
/// made them long before: that is an alarm.
pub(crate) async fn make_for(pool: &PgPool, batch: &[Commit]) -> Result<i64, Problem> {
    let runs = batch.iter().map(|commit| commit.head.run.birth_ms());
    let payloads = batch
        .iter()
        .flat_map(|commit| &commit.payloads)
        .map(|payload| payload.reference.id.birth_ms());
    make_days_of(pool, runs.chain(payloads)).await
}

/// Makes the days of these births.
pub(crate) async fn make_days_of(
    pool: &PgPool,
    births_ms: impl Iterator<Item = u64>,
) -> Result<i64, Problem> {
    let days: BTreeSet<u64> = births_ms.map(|born| born / DAY_MS * DAY_MS).collect();
    let days: Vec<i64> = days
        .into_iter()
        .filter_map(|day| i64::try_from(day).ok())
        .collect();
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    let made = sqlx::query_file_scalar!("queries/upkeep/make_days.sql", &days)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    if made > 0 {
        let detail = format!("{made} partitions were missing when they were needed, and were made");
        // The commit that needed them matters more than the record of it.
        if let Err(problem) = raise(pool, AlarmKind::PartitionMissing, &detail).await {
            tracing::warn!(?problem, "an alarm was not written down");
        }
    }
    Ok(made)
}

/// Makes the coming days; tells how many partitions it made.
pub(crate) async fn make_ahead(pool: &PgPool) -> Result<i32, Problem> {
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    let made = sqlx::query_file_scalar!("queries/upkeep/make_days_ahead.sql", DAYS_AHEAD)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(made)
}
