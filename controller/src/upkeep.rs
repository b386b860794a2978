//! Keeping the database bounded: partitions ahead of time, and days past their keeping.

use fulcrum_store::PgStore;

use crate::loops::{Loop, Progress, TickError};

/// Fewer days of partitions than this are an alarm: something keeps them from being made.
const RUNWAY_DAYS_MIN: u32 = 3;

/// Makes partitions ahead of time.
pub struct KeepPartitions(pub PgStore);

impl Loop for KeepPartitions {
    const NAME: &'static str = "partitions";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let made = self.0.upkeep().make_days_ahead().await?;
        let runway = self.0.upkeep().runway_days().await?;
        if runway < RUNWAY_DAYS_MIN {
            tracing::error!(
                runway_days = runway,
                "partitions are running out; new runs will be refused when they have"
            );
        }
        Ok(Progress::done(made.into()))
    }
}

/// Drops what is past its keeping.
pub struct Retain {
    /// The database.
    pub store: PgStore,
    /// `retention.days`.
    pub days: u32,
}

impl Loop for Retain {
    const NAME: &'static str = "retention";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let done = self.store.upkeep().retain(self.days).await?;
        if done.days_dropped > 0 {
            tracing::info!(
                days = done.days_dropped,
                runs = done.runs_deleted,
                "days past their keeping were dropped"
            );
        }
        if done.days_held_open > 0 {
            tracing::info!(
                days = done.days_held_open,
                "days past their keeping wait for runs that are still open"
            );
        }
        Ok(Progress::done(
            done.runs_deleted + done.requests_deleted + done.tokens_deleted,
        ))
    }
}
