//! The only place that reads a clock.
//!
//! All lease and timer time is the database's: `now` is the database's time at the last observation plus what the
//! monotonic clock has counted since. When a new observation disagrees, somebody's clock jumped (or this machine was
//! suspended), and the caller opens the re-assertion window instead of expiring every lease at once.

use std::time::Duration;

use arc_swap::ArcSwap;
use fulcrum_core::time::{Millis, Timestamp};
use tokio::time::Instant;

/// Disagreement between estimate and observation that counts as a jump.
pub const JUMP_MIN: Millis = Millis(1_000);

/// The monotonic clock.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// This machine's wall clock: for display, and for certificates before the database has been asked.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn wall() -> Timestamp {
    let since_epoch = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// A disagreement between the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jump {
    /// The database is ahead of the estimate by this much.
    Forward(Millis),
    /// The database is behind the estimate by this much.
    Backward(Millis),
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    database: Timestamp,
    monotonic: Instant,
}

/// The database's time, estimated between observations. The estimate is never ahead of the truth by more than the
/// drift of the monotonic clock, because an observation is anchored at the moment its answer arrived.
#[derive(Debug)]
pub struct DatabaseClock {
    anchor: ArcSwap<Anchor>,
}

impl DatabaseClock {
    /// Starts from a first observation.
    #[must_use]
    pub fn new(database: Timestamp, received_at: Instant) -> Self {
        Self {
            anchor: ArcSwap::from_pointee(Anchor {
                database,
                monotonic: received_at,
            }),
        }
    }

    /// The database's time now, as far as known.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.at(monotonic())
    }

    /// The database's time at a monotonic instant.
    #[must_use]
    pub fn at(&self, instant: Instant) -> Timestamp {
        let anchor = self.anchor.load();
        let elapsed = instant.saturating_duration_since(anchor.monotonic);
        anchor.database.plus(Millis(
            u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        ))
    }

    /// Takes a new observation: what the database's clock said in an answer that took `round_trip` to arrive.
    pub fn observe(
        &self,
        database: Timestamp,
        received_at: Instant,
        round_trip: Duration,
    ) -> Option<Jump> {
        let expected = self.at(received_at);
        let forgiven = JUMP_MIN.0 + u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX);
        self.anchor.store(std::sync::Arc::new(Anchor {
            database,
            monotonic: received_at,
        }));
        let (ahead, behind) = (database.since(expected), expected.since(database));
        if ahead.0 > forgiven {
            Some(Jump::Forward(ahead))
        } else if behind.0 > forgiven {
            Some(Jump::Backward(behind))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    #[test]
    fn time_goes_on_between_observations() {
        let start = monotonic();
        let clock = DatabaseClock::new(NOON, start);
        assert_eq!(
            clock.at(start + Duration::from_secs(5)),
            NOON.plus(Millis::from_secs(5))
        );
    }

    #[test]
    fn a_slow_answer_is_not_a_jump_but_a_leap_is() {
        let start = monotonic();
        let clock = DatabaseClock::new(NOON, start);
        let round_trip = Duration::from_secs(3);
        assert_eq!(
            clock.observe(
                NOON.plus(Millis(7_000)),
                start + Duration::from_secs(10),
                round_trip
            ),
            None
        );
        let later = start + Duration::from_secs(10);
        assert_eq!(
            clock.observe(NOON.plus(Millis(67_000)), later, Duration::ZERO),
            Some(Jump::Forward(Millis(60_000)))
        );
        assert_eq!(
            clock.observe(NOON, later, Duration::ZERO),
            Some(Jump::Backward(Millis(67_000)))
        );
        assert_eq!(clock.at(later), NOON, "the observation wins");
    }
}
