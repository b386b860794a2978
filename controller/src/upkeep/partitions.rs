//! Partitions ahead of time.

use fulcrum_store::PgStore;

use crate::loops::{Loop, Progress, TickError};

/// Fewer days of partitions than this are an alarm: something keeps them from being made.
pub const RUNWAY_DAYS_MIN: u32 = 3;

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
                "partitions are running out; each will be made when it is needed, at the price of a pause"
            );
        }
        Ok(Progress::done(made.into()))
    }
}
