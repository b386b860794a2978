//! The only place that reads the wall clock: for certificates, and for times that are shown and decide nothing.

use std::time::SystemTime;

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock module; leases go by durations on the monotonic clock"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
