//! How long `fulcrum_effects` remembers what was done.
//!
//! A row is needed for as long as its call may be repeated. Workflows give up far sooner than the ledger forgets; what
//! is older is deleted after a keyed write now and then, in batches that hold up nobody.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Least time that answers must be kept.
pub(super) const KEPT_MIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Most rows of one deletion.
pub(super) const BATCH_ROWS_MAX: u32 = 1_000;
/// Most deletions at a time; what is left then waits for the next.
pub(super) const BATCHES_MAX: u32 = 100;
/// Least time between two looks for old rows.
const LOOK_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// When to look for old rows, and what is old.
pub(super) struct Pruning {
    /// Age from which a row is old.
    pub(super) kept: Duration,
    next: Mutex<Instant>,
}

impl Pruning {
    pub(super) fn new(kept: Duration) -> Self {
        Self {
            kept,
            next: Mutex::new(Instant::now()),
        }
    }

    /// Whether to look for old rows at `now`. Whoever is told so looks; the next is told an interval later.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if now < *next {
            return false;
        }
        *next = now + LOOK_INTERVAL;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_an_interval_is_told_to_look() {
        let pruning = Pruning::new(KEPT_MIN);
        let now = Instant::now();
        assert!(pruning.is_due(now));
        assert!(!pruning.is_due(now));
        assert!(!pruning.is_due(now + LOOK_INTERVAL / 2));
        assert!(pruning.is_due(now + LOOK_INTERVAL));
    }
}
