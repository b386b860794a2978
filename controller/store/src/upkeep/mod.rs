//! Keeping the database bounded and quick: partitions ahead, days past their time, expired answers and tokens, fresh
//! statistics. Every call is idempotent and safe in many controllers at once; loops call them now and then.
//!
//! - [`retention`]: what leaves, step by step; [`leadership`]: who sees to it, and how a deposed one is refused;
//! - [`statistics`]: young tables that the planner knows nothing of yet;
//! - [`alarm`]: what an operator should know of the installation itself.

pub mod alarm;
pub mod leadership;
mod retention;
mod statistics;

pub(crate) use statistics::analyse_filled;

use fulcrum_core::store::StoreError;
use sqlx::PgPool;
use uuid::Uuid;

pub use alarm::{Alarm, AlarmKind};
pub use leadership::Leader;

use crate::PgStore;
use crate::blob::objects::Objects;
use crate::options::Route;
use crate::partitions::make_ahead;
use crate::work::{Prelude, long_unit, unit};
use leadership::{LEADERSHIP, Step};
use retention::Place;

/// Rows deleted by one statement.
const BATCH_ROWS: i32 = 1_000;
/// Alarms that are kept.
const ALARMS_MAX: i64 = 1_000;

/// What a round of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Days that left.
    pub days_dropped: u32,
    /// Days past their time on which a run is still open, or was until lately.
    pub days_held_open: u32,
    /// Days that would leave but for a lock that somebody holds, or for their objects.
    pub days_in_the_way: u32,
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
    route: Route,
    objects: Option<Objects>,
}

impl PgStore {
    /// Upkeep.
    #[must_use]
    pub fn upkeep(&self) -> Upkeep {
        Upkeep {
            pool: self.pools.report.clone(),
            route: self.pools.route,
            objects: self.blobs.objects.clone(),
        }
    }
}

impl Upkeep {
    /// Makes the partitions of the coming days; tells how many it made.
    pub async fn make_days_ahead(&self) -> Result<u32, StoreError> {
        let pool = self.pool.clone();
        long_unit(async move { Ok(make_ahead(&pool).await?.unsigned_abs()) }).await
    }

    /// Days from today on for which partitions stand ready; an alarm below three.
    pub async fn runway_days(&self) -> Result<u32, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Report.begin(&pool).await?;
            let days = sqlx::query_file_scalar!("queries/upkeep/runway.sql")
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(u32::try_from(days).unwrap_or(0))
        })
        .await
    }

    /// Becomes, or stays, the one that cleans up; `None` while somebody else is.
    pub async fn lead(&self, holder: Uuid) -> Result<Option<Leader>, StoreError> {
        let pool = self.pool.clone();
        unit(async move { leadership::take(&pool, holder, LEADERSHIP).await }).await
    }

    /// Drops days whose runs have all been closed for more than `keep_days`, and forgets what has expired. `None` if
    /// somebody else has become leader: whatever was done until then stands.
    pub async fn retain(
        &self,
        leader: Leader,
        keep_days: u32,
    ) -> Result<Option<Retained>, StoreError> {
        let place = Place {
            pool: self.pool.clone(),
            route: self.route,
            objects: self.objects.clone(),
        };
        let keep = i32::try_from(keep_days).unwrap_or(i32::MAX);
        let done = long_unit(async move { retention::retain(&place, leader, keep).await }).await?;
        Ok(match done {
            Step::Made(retained) => Some(retained),
            Step::Deposed => None,
        })
    }

    /// Gives the planner a look at hot tables that have changed much since its last one; tells how many.
    pub async fn refresh_statistics(&self) -> Result<u32, StoreError> {
        let pool = self.pool.clone();
        long_unit(async move { statistics::refresh(&pool).await }).await
    }
}
