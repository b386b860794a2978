//! What an operator should know of the installation itself, kept until it has been looked at and beyond.

use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use sqlx::PgPool;

use super::Upkeep;
use crate::column::states::mirror;
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmKind {
    /// Another server took over; its last commits may be missing.
    Failover,
    /// The database has gone back in time.
    Rewind,
    /// Another database answers at this address.
    OtherCluster,
    /// A day's partition was missing when it was needed.
    PartitionMissing,
}

mirror!(AlarmKindColumn, AlarmKind, "alarm_kind", {
    Failover = "failover", Rewind = "rewind", OtherCluster = "other_cluster", PartitionMissing = "partition_missing",
});

/// One alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// When, by the database's clock.
    pub at: Timestamp,
    /// What.
    pub kind: AlarmKind,
    /// In words.
    pub detail: String,
}

impl Upkeep {
    /// Writes an alarm down.
    pub async fn raise_alarm(
        &self,
        kind: AlarmKind,
        detail: impl Into<String>,
    ) -> Result<(), StoreError> {
        let (pool, detail) = (self.pool.clone(), detail.into());
        unit(async move { raise(&pool, kind, &detail).await }).await
    }
}

pub(crate) async fn raise(pool: &PgPool, kind: AlarmKind, detail: &str) -> Result<(), Problem> {
    let mut tx = Prelude::Catalog.begin(pool).await?;
    let kind = AlarmKindColumn::from(kind);
    sqlx::query_file!("queries/upkeep/raise_alarm.sql", kind as _, detail)
        .execute(&mut *tx)
        .await?;
    Ok(tx.commit().await?)
}
