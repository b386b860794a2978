//! Young tables are shown to the planner.

use std::time::Duration;

use fulcrum_store::PgStore;

use crate::loops::{Loop, Next, Progress, TickError};

/// Period of the loop when nothing changes.
pub const PERIOD_MS: u64 = 30_000;
/// Pause while tables change much.
const SOON: Duration = Duration::from_secs(10);

/// Analyses hot tables that have outgrown their statistics.
pub struct KeepStatistics(pub PgStore);

impl Loop for KeepStatistics {
    const NAME: &'static str = "statistics";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let worked = self.0.upkeep().refresh_statistics().await?;
        Ok(Progress {
            worked: worked.into(),
            next: if worked > 0 {
                Next::Within(SOON)
            } else {
                Next::Period
            },
        })
    }
}
