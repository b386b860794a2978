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

/// The database's time, estimated between observations.
///
/// What an answer says was true at some moment of its round trip, so an observation bounds the time at its arrival from
/// both sides. The estimate is moved only if it lies outside, to the nearer bound: it does not go back and forth with
/// the time that answers take, and errs by no more than the quickest of them.
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
        let latest = Timestamp(
            database
                .0
                .saturating_add(i64::try_from(round_trip.as_micros()).unwrap_or(i64::MAX)),
        );
        if expected < database || latest < expected {
            self.anchor.store(std::sync::Arc::new(Anchor {
                database: expected.clamp(database, latest),
                monotonic: received_at,
            }));
        }
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
    fn time_does_not_go_back_because_an_answer_took_long() {
        let start = monotonic();
        let clock = DatabaseClock::new(NOON, start);
        // Asked at 10 s, said at once, and 40 ms under way.
        let arrival = start + Duration::from_millis(10_040);
        let said = NOON.plus(Millis(10_000));
        assert_eq!(
            clock.observe(said, arrival, Duration::from_millis(40)),
            None
        );
        assert_eq!(clock.at(arrival), NOON.plus(Millis(10_040)));
        // Nobody's clock runs like another's: an estimate that cannot be true is corrected.
        assert_eq!(
            clock.observe(said, arrival, Duration::from_millis(30)),
            None
        );
        assert_eq!(clock.at(arrival), NOON.plus(Millis(10_030)));
        let late = NOON.plus(Millis(10_035));
        assert_eq!(
            clock.observe(late, arrival, Duration::from_millis(30)),
            None
        );
        assert_eq!(clock.at(arrival), late);
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
            Some(Jump::Forward(Millis(57_000)))
        );
        assert_eq!(
            clock.observe(NOON, later, Duration::ZERO),
            Some(Jump::Backward(Millis(67_000)))
        );
        assert_eq!(clock.at(later), NOON, "the observation wins");
    }
}
