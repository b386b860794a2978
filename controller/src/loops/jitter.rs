//! Randomness for spreading things out in time. Not for secrets.

use std::time::Duration;

use crate::entropy::Entropy;

/// A span chosen evenly from `base` ± `percent` percent.
#[must_use]
pub fn around(base: Duration, percent: u32, entropy: &Entropy) -> Duration {
    let width = base * percent / 100;
    (base - width.min(base)) + below(width * 2, entropy)
}

/// A span chosen evenly from zero to `limit` ("full jitter").
#[must_use]
pub fn below(limit: Duration, entropy: &Entropy) -> Duration {
    limit.mul_f64(fraction(entropy))
}

/// Evenly from 0 to 1. Without randomness from the operating system it is the middle: less spread, still correct.
fn fraction(entropy: &Entropy) -> f64 {
    match entropy.block() {
        Ok([a, b, c, d, ..]) => f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_inside_its_bounds() {
        let entropy = Entropy::system();
        for _ in 0..1_000 {
            let span = around(Duration::from_millis(1_000), 20, &entropy);
            assert!((800..=1_200).contains(&span.as_millis()), "{span:?}");
            assert!(below(Duration::from_secs(1), &entropy) <= Duration::from_secs(1));
        }
    }
}
