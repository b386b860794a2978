//! Wall time, for comparing instants of different processes on this machine.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "instants of two processes are compared, and only the wall clock is shared by both"
)]
pub(crate) fn unix_us() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
        })
}
