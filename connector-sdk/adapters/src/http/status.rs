//! What a status means.

use std::collections::BTreeMap;
use std::str::FromStr;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::operation::Repeat;

/// What a response means for the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It worked.
    Ok,
    /// Try again later.
    Transient,
    /// Another route may work.
    Recoverable,
    /// It will not work.
    Fatal,
    /// It may or may not have worked.
    Unknown,
}

/// The outcomes a capability sets, before the defaults.
#[derive(Clone, Debug, Default)]
pub struct StatusTable(BTreeMap<Pattern, Outcome>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    Exact(u16),
    Hundred(u16),
}

/// A key of `statuses` that is neither a status nor a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a status like \"404\" nor a group like \"4xx\"")]
pub struct BadPattern(String);

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern(text.to_owned());
        match text.strip_suffix("xx") {
            Some(hundred) => match hundred.parse() {
                Ok(hundred @ 2..=5) => Ok(Self::Hundred(hundred)),
                Ok(_) | Err(_) => Err(bad()),
            },
            None => match text.parse() {
                Ok(status @ 200..=599) => Ok(Self::Exact(status)),
                Ok(_) | Err(_) => Err(bad()),
            },
        }
    }
}

impl StatusTable {
    /// Sets the outcome of `pattern`, a status like `404` or a group like `4xx`.
    ///
    /// # Errors
    /// When it is neither.
    pub fn set(&mut self, pattern: &str, outcome: Outcome) -> Result<(), BadPattern> {
        self.0.insert(pattern.parse()?, outcome);
        Ok(())
    }

    /// What `status` means for a request that is repeated as `repeat` says.
    ///
    /// By default 2xx is ok; 408, 425, 429 and 503 say that nothing was done; any other 5xx may have come after the
    /// work, which makes it *unknown* where a second request would do it twice; the rest is fatal.
    pub fn outcome(&self, status: StatusCode, repeat: Repeat) -> Outcome {
        let number = status.as_u16();
        let set = self
            .0
            .get(&Pattern::Exact(number))
            .or_else(|| self.0.get(&Pattern::Hundred(number / 100)));
        match (set, number, repeat) {
            (Some(outcome), ..) => *outcome,
            (None, 200..=299, _) => Outcome::Ok,
            (None, 408 | 425 | 429 | 503, _) => Outcome::Transient,
            (None, 500..=599, Repeat::Harmless) => Outcome::Transient,
            (None, 500..=599, Repeat::Doubles) => Outcome::Unknown,
            (None, ..) => Outcome::Fatal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(table: &StatusTable, status: u16, repeat: Repeat) -> Outcome {
        table.outcome(StatusCode::from_u16(status).expect("a status"), repeat)
    }

    #[test]
    fn defaults_fit_the_request() {
        let table = StatusTable::default();
        for (status, harmless, doubles) in [
            (200, Outcome::Ok, Outcome::Ok),
            (204, Outcome::Ok, Outcome::Ok),
            (302, Outcome::Fatal, Outcome::Fatal),
            (400, Outcome::Fatal, Outcome::Fatal),
            (404, Outcome::Fatal, Outcome::Fatal),
            (408, Outcome::Transient, Outcome::Transient),
            (425, Outcome::Transient, Outcome::Transient),
            (429, Outcome::Transient, Outcome::Transient),
            (503, Outcome::Transient, Outcome::Transient),
            (500, Outcome::Transient, Outcome::Unknown),
            (502, Outcome::Transient, Outcome::Unknown),
            (504, Outcome::Transient, Outcome::Unknown),
        ] {
            assert_eq!(
                outcome(&table, status, Repeat::Harmless),
                harmless,
                "{status}"
            );
            assert_eq!(
                outcome(&table, status, Repeat::Doubles),
                doubles,
                "{status}"
            );
        }
    }

    #[test]
    fn an_exact_status_comes_before_its_group_and_a_group_before_the_default() {
        let mut table = StatusTable::default();
        table.set("4xx", Outcome::Recoverable).expect("group");
        table.set("409", Outcome::Ok).expect("status");
        assert_eq!(outcome(&table, 409, Repeat::Harmless), Outcome::Ok);
        assert_eq!(outcome(&table, 429, Repeat::Harmless), Outcome::Recoverable);
    }

    #[test]
    fn a_typing_mistake_is_named() {
        for bad in ["4x", "600", "42", "x", "1xx"] {
            assert!(
                StatusTable::default().set(bad, Outcome::Ok).is_err(),
                "{bad}"
            );
        }
    }
}
