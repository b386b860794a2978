//! What every loop did last, for readiness, metrics and the operator.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The status of one loop.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// Ticks that ended well.
    pub ticks: u64,
    /// Things done by all ticks together.
    pub worked: u64,
    /// Errors and panics, all together.
    pub errors: u64,
    /// Errors and panics since the last tick that ended well.
    pub errors_in_a_row: u32,
    /// The newest error, kept after recovery.
    pub last_error: Option<String>,
    /// When a tick last ended well.
    pub last_ok: Option<Instant>,
    /// How long the newest tick took.
    pub last_duration: Duration,
}

/// The status of all loops of this process, by name.
#[derive(Default)]
pub struct Board {
    loops: Mutex<BTreeMap<&'static str, Status>>,
}

impl Board {
    /// A copy of everything.
    #[must_use]
    pub fn read(&self) -> BTreeMap<&'static str, Status> {
        self.loops
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn ok(&self, name: &'static str, worked: u64, at: Instant, took: Duration) {
        self.update(name, |status| {
            status.ticks += 1;
            status.worked += worked;
            status.errors_in_a_row = 0;
            status.last_ok = Some(at);
            status.last_duration = took;
        });
    }

    pub(super) fn failed(&self, name: &'static str, error: String, took: Duration) {
        self.update(name, |status| {
            status.errors += 1;
            status.errors_in_a_row = status.errors_in_a_row.saturating_add(1);
            status.last_error = Some(error);
            status.last_duration = took;
        });
    }

    fn update(&self, name: &'static str, change: impl FnOnce(&mut Status)) {
        change(
            self.loops
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(name)
                .or_default(),
        );
    }
}
