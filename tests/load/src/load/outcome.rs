//! What a load did.

use std::time::Duration;

/// One completed run. Microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Done {
    /// From the beginning of the load to the answer.
    pub(crate) at_us: u64,
    /// From start to answer.
    pub(crate) took_us: u64,
}

/// All of them.
pub(crate) struct Outcome {
    /// How long runs were started.
    pub(crate) time: Duration,
    /// The completed ones, those answered after `time` included, in order of completion.
    pub(crate) done: Vec<Done>,
    /// Starts that were refused for the moment and made again.
    pub(crate) refused: u64,
}

impl Outcome {
    /// Sorts what the callers brought.
    pub(crate) fn new(time: Duration, mut done: Vec<Done>, refused: u64) -> anyhow::Result<Self> {
        anyhow::ensure!(!done.is_empty(), "no run was completed");
        let few = done.len() as u64 / 100 + 100;
        anyhow::ensure!(refused <= few, "{refused} starts were refused");
        done.sort_unstable_by_key(|done| done.at_us);
        Ok(Self {
            time,
            done,
            refused,
        })
    }

    /// Completed runs.
    pub(crate) fn runs(&self) -> f64 {
        self.done.len() as f64
    }

    /// Runs completed per second while runs were started.
    pub(crate) fn per_s(&self) -> f64 {
        self.per_s_between(Duration::ZERO, self.time)
    }

    /// Runs completed per second in a part of it.
    pub(crate) fn per_s_between(&self, from: Duration, to: Duration) -> f64 {
        let before = |instant: Duration| {
            let instant = instant.as_micros() as u64;
            self.done.partition_point(|done| done.at_us < instant)
        };
        let span = to.saturating_sub(from).as_secs_f64();
        (before(to) - before(from)) as f64 / span
    }

    /// Start to answer.
    pub(crate) fn latencies(&self) -> Latencies {
        Latencies::new(self.done.iter().map(|done| done.took_us).collect())
    }
}

/// Sorted latencies in microseconds.
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    /// Sorts them.
    pub(crate) fn new(mut latencies_us: Vec<u64>) -> Self {
        latencies_us.sort_unstable();
        Self(latencies_us)
    }

    /// A quantile in milliseconds, by nearest rank.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        let rank = (self.0.len() as f64 * quantile).ceil() as usize;
        let index = rank.clamp(1, self.0.len().max(1)) - 1;
        self.0
            .get(index)
            .map_or(f64::NAN, |us| *us as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let latencies = Latencies::new((1..=100).rev().map(|ms| ms * 1_000).collect());
        assert_eq!(latencies.ms(0.5), 50.0);
        assert_eq!(latencies.ms(0.99), 99.0);
        assert_eq!(Latencies::new(vec![7_000]).ms(0.99), 7.0);
    }

    #[test]
    fn throughput_counts_what_was_answered_in_the_span() {
        let done = [100_000, 900_000, 1_100_000, 2_500_000].map(|at_us| Done { at_us, took_us: 1 });
        let outcome = Outcome::new(Duration::from_secs(2), done.to_vec(), 0).unwrap();
        assert_eq!(outcome.per_s(), 1.5);
        let (one, three) = (Duration::from_secs(1), Duration::from_secs(3));
        assert_eq!(outcome.per_s_between(one, three), 1.0);
    }
}
