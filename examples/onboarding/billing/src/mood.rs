//! When the service is in a bad mood.

use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;

/// How often a bad mood comes: every so many requests, counted from the start of the process; 0 is never.
#[derive(Clone, Debug, Args)]
pub(crate) struct Moods {
    /// Answers every Nth request 429 with a Retry-After
    #[arg(
        long,
        env = "BILLING_BUSY_EVERY",
        default_value_t = 7,
        value_name = "N"
    )]
    busy_every: u64,
    /// The Retry-After, in seconds
    #[arg(
        long,
        env = "BILLING_RETRY_AFTER",
        default_value_t = 1,
        value_name = "SECONDS"
    )]
    pub(crate) retry_after: u64,
    /// Answers every Nth request 503 before doing anything
    #[arg(
        long,
        env = "BILLING_DOWN_EVERY",
        default_value_t = 11,
        value_name = "N"
    )]
    down_every: u64,
    /// Answers every Nth request 503 after writing the invoice, as when a reply is lost
    #[arg(
        long,
        env = "BILLING_LOST_EVERY",
        default_value_t = 17,
        value_name = "N"
    )]
    lost_every: u64,
}

/// What a request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Busy,
    Down,
    Lost,
}

/// Counts requests.
#[derive(Default)]
pub(crate) struct Requests(AtomicU64);

impl Requests {
    /// The number of the next request, from 1.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Moods {
    pub(crate) fn at(&self, request: u64) -> Mood {
        let falls_on = |every: u64| every != 0 && request.is_multiple_of(every);
        if falls_on(self.busy_every) {
            Mood::Busy
        } else if falls_on(self.down_every) {
            Mood::Down
        } else if falls_on(self.lost_every) {
            Mood::Lost
        } else {
            Mood::Good
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moods_follow_the_number_of_the_request() {
        let moods = Moods {
            busy_every: 3,
            retry_after: 1,
            down_every: 0,
            lost_every: 4,
        };
        let seen: Vec<Mood> = (1..=6).map(|request| moods.at(request)).collect();
        assert_eq!(
            seen,
            [
                Mood::Good,
                Mood::Good,
                Mood::Busy,
                Mood::Lost,
                Mood::Good,
                Mood::Busy
            ]
        );
    }
}
