//! What is past its keeping leaves.

use fulcrum_store::PgStore;
use uuid::Uuid;

use crate::loops::{Loop, Progress, TickError};

/// Drops what is past its keeping, as long as no other controller does.
pub struct Retain {
    /// The database.
    pub store: PgStore,
    /// This controller.
    pub controller: Uuid,
    /// `retention.days`.
    pub days: u32,
}

impl Loop for Retain {
    const NAME: &'static str = "retention";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let upkeep = self.store.upkeep();
        let Some(leader) = upkeep.lead(self.controller).await? else {
            return Ok(Progress::done(0));
        };
        let Some(done) = upkeep.retain(leader, self.days).await? else {
            return Ok(Progress::done(0));
        };
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
                "days past their keeping wait for runs that are open, or were until lately"
            );
        }
        Ok(Progress::done(
            done.runs_deleted + done.requests_deleted + done.tokens_deleted,
        ))
    }
}
