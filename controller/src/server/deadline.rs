//! Every call has a deadline: what the client asks in `grpc-timeout`, but not more than the server's cap.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::limits::ServerLimits;
use crate::clock;
use crate::identity::CallClass;

/// Answering this much earlier leaves room for the typed answer to win over the client's own timer.
const MARGIN: Duration = Duration::from_millis(10);

/// The instant by which a call must be answered, found among the request's extensions. A long poll answers empty a
/// little earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline of a call with these headers.
    pub(super) fn of(headers: &HeaderMap, class: CallClass, limits: &ServerLimits) -> Self {
        let cap = match class {
            CallClass::Unary => limits.unary_deadline(),
            CallClass::LongPoll | CallClass::Stream => {
                limits.long_poll() + limits.unary_deadline() / 6
            }
            CallClass::Upload => limits.payload_upload(),
        };
        let asked = headers
            .get("grpc-timeout")
            .and_then(|value| parse(value.to_str().ok()?));
        let granted = asked.map_or(cap, |asked| asked.min(cap));
        Self(clock::monotonic() + granted.saturating_sub(MARGIN))
    }

    /// How long a long poll may wait and still answer in time.
    #[must_use]
    pub fn patience(&self, limits: &ServerLimits) -> Duration {
        let left = self.0.saturating_duration_since(clock::monotonic());
        left.saturating_sub((left / 10).min(Duration::from_secs(1)))
            .min(limits.long_poll())
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let n: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(n * 3_600)),
        "M" => Some(Duration::from_secs(n * 60)),
        "S" => Some(Duration::from_secs(n)),
        "m" => Some(Duration::from_millis(n)),
        "u" => Some(Duration::from_micros(n)),
        "n" => Some(Duration::from_nanos(n)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_grpc_writes_them() {
        assert_eq!(parse("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse("250m"), Some(Duration::from_millis(250)));
        assert_eq!(
            parse("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3_600))
        );
        for bad in ["", "S", "5", "-5S", "123456789S", "5x", "5é"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
