//! The database's clock: it goes with the world's virtual time, and jumps when it is told to.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fulcrum_core::time::Timestamp;
use tokio::time::Instant;

/// When every world begins.
pub const BIRTH: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// The clock of the one database of a world.
#[derive(Debug)]
pub struct WorldClock {
    began: Instant,
    skew_us: AtomicI64,
}

impl WorldClock {
    /// A clock that begins at [`BIRTH`], now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            skew_us: AtomicI64::new(0),
        }
    }

    /// Virtual time since the world began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// What the database's clock shows.
    #[must_use]
    pub fn database(&self) -> Timestamp {
        let elapsed = i64::try_from(self.elapsed().as_micros()).unwrap_or(i64::MAX);
        Timestamp(
            BIRTH
                .0
                .saturating_add(elapsed)
                .saturating_add(self.skew_us.load(Ordering::Relaxed)),
        )
    }

    /// Jumps by so many milliseconds, backward if negative.
    pub fn jump_ms(&self, by_ms: i64) {
        self.skew_us.fetch_add(by_ms * 1_000, Ordering::Relaxed);
    }
}
