//! The loop that keeps private keys sealed: what rests clear since before the feature level allowed otherwise, and what
//! rests under a key-encryption key that another took the place of.

use std::time::Duration;

use fulcrum_store::versions::{FeatureLevel, Versions};
use tokio::time::Instant;

use super::registry::Registry;
use crate::clock;
use crate::loops::{Loop, Progress, TickError};

/// Period of the loop. A tick that has nothing to do asks the database nothing.
pub const PERIOD_MS: u64 = 10_000;

/// All was sealed, and only a controller that has not heard of the level could have added a clear key since.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);

/// Seals what rests otherwise.
pub struct KeepSealed {
    registry: Registry,
    versions: Versions,
    looked_at: Option<Instant>,
}

impl KeepSealed {
    /// Seals the keys of this registry once the level seen here allows it.
    #[must_use]
    pub fn new(registry: Registry, versions: Versions) -> Self {
        Self {
            registry,
            versions,
            looked_at: None,
        }
    }
}

impl Loop for KeepSealed {
    const NAME: &'static str = "sealed_keys";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let now = clock::monotonic();
        let is_due = self.looked_at.is_none_or(|at| now - at >= LOOK_AGAIN);
        if !is_due || self.versions.seen() < FeatureLevel::SEALED_KEYS {
            return Ok(Progress::done(0));
        }
        let sealed = self.registry.seal_resting().await?;
        if sealed > 0 {
            tracing::info!(
                keys = sealed,
                "stored private keys were sealed under the key-encryption key that is configured first"
            );
        }
        self.looked_at = Some(now);
        Ok(Progress::done(sealed))
    }
}
