//! Young tables are shown to the planner.

use std::time::Duration;

use fulcrum_store::PgStore;
use tokio::time::Instant;

use crate::clock;
use crate::loops::{Loop, Next, Progress, TickError};

/// Period of the loop when nothing changes.
pub const PERIOD_MS: u64 = 300_000;
/// Pause while tables change much, and in a controller's first minutes.
const SOON: Duration = Duration::from_secs(10);
/// A controller's first minutes: tables may be young.
const YOUTH: Duration = Duration::from_secs(180);

/// Analyses hot tables that have outgrown their statistics.
pub struct KeepStatistics {
    store: PgStore,
    born: Instant,
}

impl KeepStatistics {
    /// Over this database.
    #[must_use]
    pub fn new(store: PgStore) -> Self {
        Self {
            store,
            born: clock::monotonic(),
        }
    }
}

impl Loop for KeepStatistics {
    const NAME: &'static str = "statistics";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let worked = self.store.upkeep().refresh_statistics().await?;
        let young = clock::monotonic() - self.born < YOUTH;
        Ok(Progress {
            worked: worked.into(),
            next: if worked > 0 || young {
                Next::Within(SOON)
            } else {
                Next::Period
            },
        })
    }
}
