//! Waiting between tries: exponential with full jitter, so that workers cut off together do not come back
//! together (M. Brooker, "Exponential Backoff And Jitter", AWS 2015).

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(20);

/// The waits of one sequence of tries.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait, at least `asked` where the other side asked for one.
    pub(crate) fn next(&mut self, asked: Option<Duration>) -> Duration {
        let ceiling = FIRST.saturating_mul(1 << self.tries.min(10)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        asked.unwrap_or_default() + ceiling.mul_f64(random_fraction())
    }

    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

/// A random number in 0..1. If the system has no randomness to give, the middle: jitter is a courtesy.
pub(crate) fn random_fraction() -> f64 {
    match getrandom::u32() {
        Ok(number) => f64::from(number) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_ceiling_and_respect_what_was_asked() {
        let mut backoff = Backoff::default();
        assert!(backoff.next(None) <= FIRST);
        for _ in 0..40 {
            assert!(backoff.next(None) <= LONGEST);
        }
        let asked = Duration::from_secs(60);
        let wait = backoff.next(Some(asked));
        assert!(asked <= wait && wait <= asked + LONGEST);
    }
}
