//! This controller says that it is there, and learns what may be written.
//!
//! Nobody owns anything because of it: the row only counts when the feature level is raised, and tells others that
//! somebody may hear them. Ticks keep it fresh; who was silent for too long enters again. What the database was found to
//! have forgotten is written down.

use fulcrum_core::time::Millis;
use fulcrum_store::PgStore;
use fulcrum_store::versions::{ControllerRow, Entered, FeatureLevel};
use uuid::Uuid;

use crate::foundation::FoundationError;
use crate::loops::{Loop, Progress, TickError};

/// Period of the loop when no tick wakes it.
pub const PERIOD_MS: u64 = 60_000;

/// Keeps the row of this controller.
#[derive(Debug)]
pub struct Attend {
    store: PgStore,
    me: ControllerRow,
    silence: Option<Millis>,
}

impl Attend {
    /// Enters. To be called before anything is written.
    ///
    /// # Errors
    /// When the level in force is above what this build knows, or the database fails.
    pub async fn enter(store: PgStore, controller: Uuid) -> Result<Self, FoundationError> {
        let me = ControllerRow {
            id: controller,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            level_max: FeatureLevel::MAX,
        };
        let silence = store.versions().silence(controller).await?;
        match store.versions().enter(&me).await? {
            Entered::Welcome(_) => Ok(Self { store, me, silence }),
            Entered::TooOld(level) => Err(too_old(level)),
        }
    }

    /// How long before it came another controller was heard of.
    #[must_use]
    pub fn silence(&self) -> Option<Millis> {
        self.silence
    }
}

fn too_old(level: FeatureLevel) -> FoundationError {
    FoundationError::TooOld {
        level: level.0,
        known: FeatureLevel::MAX.0,
    }
}

impl Loop for Attend {
    const NAME: &'static str = "attendance";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        match self.store.versions().enter(&self.me).await? {
            Entered::Welcome(_) => {}
            // It was silent for so long that it did not count any more when the level was raised.
            Entered::TooOld(level) => return Err(too_old(level).into()),
        }
        let breaks = self.store.watermark().take_unrecorded();
        let found = breaks.len();
        for found in breaks {
            self.store
                .upkeep()
                .raise_alarm(found.kind(), found.to_string())
                .await?;
        }
        Ok(Progress::done(u64::try_from(found).unwrap_or(u64::MAX)))
    }
}
