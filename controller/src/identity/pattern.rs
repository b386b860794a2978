//! Capability patterns: which capabilities an identity may serve.

use std::fmt;
use std::str::FromStr;

/// Longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 200;

/// `*`, `crm.*` or `crm.contact.upsert`. A star stands only at the end, after a dot or alone, and matches one or more
/// further segments.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapabilityPattern(String);

/// A text that is not a capability pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a capability pattern; write a capability name (`crm.contact.upsert`), a prefix (`crm.*`) or `*`"
)]
pub struct InvalidPattern(pub String);

impl CapabilityPattern {
    /// True if the pattern covers this capability.
    #[must_use]
    pub fn covers(&self, capability: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => capability.len() > prefix.len() && capability.starts_with(prefix),
            None => self.0 == capability,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CapabilityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CapabilityPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let refuse = || InvalidPattern(text.chars().take(80).collect());
        if text.len() > PATTERN_BYTES_MAX {
            return Err(refuse());
        }
        let name = match text.strip_suffix('*') {
            Some("") => return Ok(Self(text.to_owned())),
            Some(prefix) => prefix.strip_suffix('.').ok_or_else(refuse)?,
            None => text,
        };
        let segment = |s: &str| {
            s.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
                && s.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
        };
        if name.split('.').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(refuse())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> CapabilityPattern {
        text.parse().expect("valid pattern")
    }

    #[test]
    fn a_prefix_covers_what_is_below_it_and_nothing_beside_it() {
        assert!(pattern("crm.*").covers("crm.contact.upsert"));
        assert!(!pattern("crm.*").covers("crmx.contact"));
        assert!(!pattern("crm.*").covers("crm."));
        assert!(!pattern("crm.*").covers("crm"));
        assert!(pattern("*").covers("mail.send"));
        assert!(pattern("mail.send").covers("mail.send"));
        assert!(!pattern("mail.send").covers("mail.sender"));
    }

    #[test]
    fn stars_elsewhere_and_odd_characters_are_refused() {
        for bad in [
            "", "crm*", "*.x", "crm.*.x", "crm..x", "Crm.x", "crm.x ", ".*", "1crm",
        ] {
            assert!(bad.parse::<CapabilityPattern>().is_err(), "{bad}");
        }
    }
}
