//! What a failed attempt means: another one, and when, or the end.

use sha2::{Digest, Sha256};

use crate::definition::model::Retry;
use crate::event::StepKey;
use crate::failure::{Failure, FailureClass};
use crate::time::{Millis, Timestamp};

/// The verdict on a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Once more, not before this instant.
    Again(Timestamp),
    /// It stays failed.
    Stop,
}

/// May what was attempted be done twice although nobody knows whether it happened?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repetition {
    /// It does no harm.
    Harmless,
    /// It may.
    Unsafe,
}

/// Judges a failed attempt.
pub(super) fn judge(
    retry: &Retry,
    repetition: Repetition,
    step: &StepKey,
    attempt: u32,
    failure: &Failure,
    now: Timestamp,
    entropy: &[u8; 32],
) -> Next {
    let may_go_away = match failure.class {
        FailureClass::Transient => true,
        FailureClass::Unknown => repetition == Repetition::Harmless,
        FailureClass::Recoverable | FailureClass::Fatal => false,
    };
    let refused = retry.non_retryable.contains(&failure.code);
    if !may_go_away || refused || attempt >= retry.max_attempts {
        return Next::Stop;
    }
    let jittered = delay(retry, attempt, step, entropy);
    Next::Again(now.plus(jittered.max(failure.retry_after.unwrap_or_default())))
}

/// Full jitter (Brooker, "Exponential Backoff And Jitter", 2015): anything up to the curve's ceiling, so that those who
/// failed together do not come back together.
pub(super) fn delay(retry: &Retry, attempt: u32, step: &StepKey, entropy: &[u8; 32]) -> Millis {
    let ceiling = ceiling(retry, attempt);
    Millis(draw(step, attempt, entropy) % (ceiling.0.saturating_add(1)))
}

/// `initial × multiplier^(attempt − 1)`, at most `max`.
fn ceiling(retry: &Retry, attempt: u32) -> Millis {
    let mut ceiling = u128::from(retry.initial.0);
    let max = u128::from(retry.max.0);
    for _ in 1..attempt {
        if ceiling == 0 || ceiling >= max || retry.multiplier_percent <= 100 {
            break;
        }
        ceiling = ceiling * u128::from(retry.multiplier_percent) / 100;
    }
    Millis(u64::try_from(ceiling.min(max)).unwrap_or(u64::MAX))
}

fn draw(step: &StepKey, attempt: u32, entropy: &[u8; 32]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(entropy);
    hash.update(step.path.as_bytes());
    hash.update(attempt.to_be_bytes());
    let digest = hash.finalize();
    let mut low = [0u8; 8];
    low.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_until_it_meets_its_maximum() {
        let retry = Retry::default();
        let ceilings: Vec<u64> = [1, 2, 3, 7, 8, 1_000_000]
            .iter()
            .map(|n| ceiling(&retry, *n).0)
            .collect();
        assert_eq!(ceilings, [1_000, 2_000, 4_000, 60_000, 60_000, 60_000]);
    }

    #[test]
    fn a_delay_stays_under_the_ceiling_and_differs_between_steps() {
        let retry = Retry::default();
        let delays: std::collections::BTreeSet<u64> = (0..100)
            .map(|n| delay(&retry, 3, &StepKey::first(format!("s{n}")), &[7; 32]).0)
            .inspect(|ms| assert!(*ms <= 4_000))
            .collect();
        assert!(delays.len() > 90, "{delays:?}");
    }
}
