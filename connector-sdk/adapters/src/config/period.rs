//! Lengths of time as people write them: `500ms`, `30s`, `1m 30s`, `2h`, `90d`.

use std::time::Duration;

use jiff::SpanRelativeTo;
use serde::Deserialize;

/// A positive length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(Duration);

impl Period {
    /// A period of whole seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A period of whole days, of 24 hours each.
    pub const fn days(days: u64) -> Self {
        Self::seconds(days * 24 * 60 * 60)
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse::<jiff::Span>()
            .ok()
            .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
            .and_then(|signed| Duration::try_from(signed).ok())
            .filter(|duration| !duration.is_zero())
            .map(Self)
            .ok_or_else(|| {
                format!(
                    "`{text}` is not a length of time; write one like `500ms`, `30s` or `1m 30s`"
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_read_as_written() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("1m 30s", 90_000),
            ("2h", 7_200_000),
            ("1d 1s", 86_401_000),
        ] {
            let period = Period::try_from(text.to_owned()).expect(text);
            assert_eq!(period.duration(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn nothing_negative_zero_or_without_a_unit_is_a_period() {
        for text in ["-1s", "0s", "30", "soon"] {
            assert!(Period::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
