//! Instants and spans.

use std::time::Duration;

use fulcrum_core::time::{Millis, Timestamp};

use crate::server::fault::Fault;

/// An instant for the wire.
#[must_use]
pub fn instant(at: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(at.0.rem_euclid(1_000_000) * 1_000).expect("less than a second");
    prost_types::Timestamp {
        seconds: at.0.div_euclid(1_000_000),
        nanos,
    }
}

/// An instant from the wire.
pub fn to_instant(field: &str, at: prost_types::Timestamp) -> Result<Timestamp, Fault> {
    at.seconds
        .checked_mul(1_000_000)
        .and_then(|micros| micros.checked_add(i64::from(at.nanos / 1_000)))
        .map(Timestamp)
        .ok_or_else(|| Fault::field(field, "is outside the range of instants"))
}

/// A span for the wire.
#[must_use]
pub fn span(millis: Millis) -> prost_types::Duration {
    let seconds = i64::try_from(millis.0 / 1_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(millis.0 % 1_000 * 1_000_000).expect("less than a second");
    prost_types::Duration { seconds, nanos }
}

/// A span from the wire; it must not be negative.
pub fn to_span(field: &str, span: prost_types::Duration) -> Result<Millis, Fault> {
    let span = Duration::try_from(span).map_err(|_| Fault::field(field, "must not be negative"))?;
    Ok(Millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}
