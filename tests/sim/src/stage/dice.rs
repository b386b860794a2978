//! Randomness that follows from the seed: one stream for each purpose, so that a change in how one part draws does
//! not change what the others see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};

/// A stream of random numbers (SplitMix64: G. Steele, D. Lea, C. Flood, OOPSLA 2014). Clones share it.
#[derive(Debug, Clone)]
pub struct Dice(Arc<AtomicU64>);

/// How often something happens, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PerMille(pub u32);

impl Dice {
    /// The stream of one purpose in one world.
    #[must_use]
    pub fn of(seed: u64, purpose: &str) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = seed_of(seed, purpose);
        let state = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        Self(Arc::new(AtomicU64::new(state)))
    }

    /// The next number.
    #[must_use]
    pub fn number(&self) -> u64 {
        let state = self
            .0
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    #[must_use]
    pub fn below(&self, limit: u64) -> u64 {
        self.number().checked_rem(limit).unwrap_or(0)
    }

    /// Does it happen this time?
    #[must_use]
    pub fn happens(&self, rate: PerMille) -> bool {
        self.below(1_000) < u64::from(rate.0)
    }

    /// A span between these, in whole milliseconds.
    #[must_use]
    pub fn span_ms(&self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.below(to_ms.saturating_sub(from_ms) + 1))
    }

    /// An index into `length` things.
    #[must_use]
    pub fn index(&self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or(0)
    }
}

/// Thirty-two bytes for one purpose in one world.
#[must_use]
pub fn seed_of(seed: u64, purpose: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_be_bytes());
    hash.update(purpose.as_bytes());
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_repeats_itself_and_differs_from_the_others() {
        let draw = |seed, purpose| {
            let dice = Dice::of(seed, purpose);
            (0..8).map(|_| dice.number()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "network"), draw(1, "network"));
        assert_ne!(draw(1, "network"), draw(1, "store"));
        assert_ne!(draw(1, "network"), draw(2, "network"));
    }

    #[test]
    fn rates_are_kept_roughly() {
        let dice = Dice::of(1, "rates");
        let hits = (0..10_000).filter(|_| dice.happens(PerMille(250))).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
        assert!(!dice.happens(PerMille(0)));
        assert!(dice.happens(PerMille(1_000)));
    }
}
