//! Instants and spans, for people.

use std::time::Duration;

use jiff::Timestamp;

/// A length of time in at most two units: `340ms`, `4.2s`, `3m 12s`, `5h 3m`, `2d 4h`.
#[must_use]
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 => format!("{}ms", length.as_millis()),
        1..=59 => {
            let tenths = length.as_millis() / 100;
            if tenths.is_multiple_of(10) {
                format!("{seconds}s")
            } else {
                format!("{seconds}.{}s", tenths % 10)
            }
        }
        60..=3_599 => two("m", seconds / 60, "s", seconds % 60),
        3_600..=86_399 => two("h", seconds / 3_600, "m", seconds % 3_600 / 60),
        _ => two("d", seconds / 86_400, "h", seconds % 86_400 / 3_600),
    }
}

fn two(big: &str, n: u64, small: &str, m: u64) -> String {
    if m == 0 {
        format!("{n}{big}")
    } else {
        format!("{n}{big} {m}{small}")
    }
}

/// How far apart two instants are; zero if they are in the wrong order, as instants of two clocks may be.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// How long ago: `3m ago`, or `in 2h` for what is to come.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", coarse(between(now, at)))
    } else {
        format!("{} ago", coarse(between(at, now)))
    }
}

/// As a distance from `now` where that is known, else as an instant; nothing for no instant.
#[must_use]
pub fn told(at: Option<Timestamp>, now: Option<Timestamp>) -> String {
    match (at, now) {
        (Some(at), Some(now)) => ago(at, now),
        (Some(at), None) => instant(at),
        (None, _) => String::new(),
    }
}

/// One unit.
fn coarse(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..=59 => format!("{seconds}s"),
        60..=3_599 => format!("{}m", seconds / 60),
        3_600..=86_399 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// An instant to the second, in UTC: `2026-11-22 15:30:05Z`.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// The time of day to the millisecond, in UTC: `15:30:05.123`.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.3f").to_string()
}

/// An instant of the contract; `None` if it is absent or outside the calendar.
#[must_use]
pub fn from_proto(at: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_at_most_two_units() {
        let told = |ms| span(Duration::from_millis(ms));
        assert_eq!(
            [told(0), told(340), told(1000), told(4_260)],
            ["0ms", "340ms", "1s", "4.2s"]
        );
        assert_eq!(
            [told(60_000), told(192_000), told(18_180_000)],
            ["1m", "3m 12s", "5h 3m"]
        );
        assert_eq!(told(187_200_000), "2d 4h");
    }

    #[test]
    fn instants_are_told_by_distance() {
        let now = Timestamp::from_second(1_000_000).expect("valid");
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).expect("valid");
        assert_eq!(ago(at(-200), now), "3m ago");
        assert_eq!(ago(at(7200), now), "in 2h");
    }
}
