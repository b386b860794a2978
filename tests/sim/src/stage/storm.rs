//! The weather of a world: how often each fault strikes, drawn once from the seed. Some faults are absent from a
//! world, so that the others meet undisturbed.

use std::sync::atomic::{AtomicBool, Ordering};

use super::dice::{Dice, PerMille};

/// Rates of faults, and whether they strike at all right now.
#[derive(Debug)]
pub struct Storm {
    rates: Rates,
    over: AtomicBool,
}

/// Rates of faults. Network rates are per call, database rates per database call.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "each is the rate of the fault that it names")]
pub struct Rates {
    pub request_lost: PerMille,
    pub reply_lost: PerMille,
    pub duplicated: PerMille,
    pub slow: PerMille,
    pub commit_fails: PerMille,
    pub commit_repeats: PerMille,
    pub batch_refused: PerMille,
    pub commit_unknown: PerMille,
    pub commit_unknown_lost: PerMille,
    pub crash_before_commit: PerMille,
    pub crash_after_commit: PerMille,
    pub read_fails: PerMille,
    pub claim_unheard: PerMille,
    pub grantee_dies: PerMille,
    pub database_slow: PerMille,
    /// How often, when something is to befall the world, it is of this kind: see `chaos`.
    pub misfortune: PerMille,
}

impl Storm {
    /// The weather of a world.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let dice = Dice::of(seed, "storm");
        let rate = |gentle: u64, heavy: u64| {
            let most = match dice.below(6) {
                0 | 1 => 0,
                2..=4 => gentle,
                _ => heavy,
            };
            PerMille(u32::try_from(dice.below(most + 1)).unwrap_or(0))
        };
        let rates = Rates {
            request_lost: rate(60, 300),
            reply_lost: rate(60, 300),
            duplicated: rate(60, 300),
            slow: rate(50, 200),
            commit_fails: rate(30, 150),
            commit_repeats: rate(60, 300),
            batch_refused: rate(60, 300),
            commit_unknown: rate(30, 150),
            commit_unknown_lost: rate(30, 150),
            crash_before_commit: rate(15, 40),
            crash_after_commit: rate(15, 40),
            read_fails: rate(20, 100),
            claim_unheard: rate(15, 60),
            grantee_dies: rate(20, 60),
            database_slow: rate(30, 150),
            misfortune: rate(500, 1_000),
        };
        Self {
            rates,
            over: AtomicBool::new(false),
        }
    }

    /// The rates now.
    #[must_use]
    pub fn rates(&self) -> Rates {
        if self.is_over() {
            Rates::default()
        } else {
            self.rates
        }
    }

    /// From here on nothing strikes any more.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Is it over?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}
