//! Randomness for spreading things out in time. Not for secrets.

use std::time::Duration;

/// A span chosen evenly from `base` ± `percent` percent.
#[must_use]
pub fn around(base: Duration, percent: u32) -> Duration {
    let width = base * percent / 100;
    (base - width.min(base)) + below(width * 2)
}

/// A span chosen evenly from zero to `limit` ("full jitter").
#[must_use]
pub fn below(limit: Duration) -> Duration {
    limit.mul_f64(fraction())
}

/// Evenly from 0 to 1. Without randomness from the operating system it is the middle: less spread, still correct.
fn fraction() -> f64 {
    let mut bytes = [0; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_inside_its_bounds() {
        for _ in 0..1_000 {
            let span = around(Duration::from_millis(1_000), 20);
            assert!((800..=1_200).contains(&span.as_millis()), "{span:?}");
            assert!(below(Duration::from_secs(1)) <= Duration::from_secs(1));
        }
    }
}
