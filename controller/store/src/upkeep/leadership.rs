//! One controller at a time cleans up.
//!
//! Nothing that must be right depends on it: each step of a clean-up is right whoever makes it. It keeps many
//! controllers from doing the same work at once, and a controller that was stopped in the middle from going on beside
//! its successor: every transaction first proves, by the epoch it was given, that nobody has taken over since.

use fulcrum_core::time::Millis;
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::problem::Problem;
use crate::work::Prelude;

/// How long leadership outlives its last proof. Longer than the longest single statement of upkeep.
pub(crate) const LEADERSHIP: Millis = Millis::from_secs(90);

/// Being the one that cleans up, since an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leader {
    pub(crate) holder: Uuid,
    pub(crate) epoch: i64,
}

/// What a step of upkeep came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<T> {
    /// It was made.
    Made(T),
    /// Somebody else has taken over; nothing was changed.
    Deposed,
}

/// Leadership for this holder, unless somebody else has it.
pub(crate) async fn take(
    pool: &PgPool,
    holder: Uuid,
    length: Millis,
) -> Result<Option<Leader>, Problem> {
    let mut tx = Prelude::Upkeep.begin(pool).await?;
    let millis = i64::try_from(length.0).unwrap_or(i64::MAX);
    let epoch = sqlx::query_file_scalar!("queries/upkeep/take_leadership.sql", holder, millis)
        .fetch_optional(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(epoch.map(|epoch| Leader { holder, epoch }))
}

impl Leader {
    /// Begins a transaction in which this leader is the leader to the end.
    pub(crate) async fn begin(
        &self,
        pool: &PgPool,
    ) -> Result<Step<Transaction<'static, Postgres>>, Problem> {
        let mut tx = Prelude::Upkeep.begin(pool).await?;
        let millis = i64::try_from(LEADERSHIP.0).unwrap_or(i64::MAX);
        let (holder, epoch) = (self.holder, self.epoch);
        let proof = sqlx::query_file!("queries/upkeep/prove_leadership.sql", holder, epoch, millis);
        if proof.execute(&mut *tx).await?.rows_affected() == 1 {
            Ok(Step::Made(tx))
        } else {
            tx.rollback().await?;
            tracing::warn!(
                epoch,
                "another controller cleans up by now; this one leaves off"
            );
            Ok(Step::Deposed)
        }
    }
}
