//! What is counted after a demonstration, and how it is told.

use serde::Serialize;

use crate::output::printer::Row;
use crate::output::style::Tone;
use crate::output::table::Cell;

/// One count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What was counted, and where.
    pub what: &'static str,
    /// How many there are.
    pub found: u64,
    /// How many there must be; `None` if any number will do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u64>,
}

impl Count {
    /// A count that must be exact.
    #[must_use]
    pub fn exactly(what: &'static str, found: u64, expected: u64) -> Self {
        Self {
            what,
            found,
            expected: Some(expected),
        }
    }

    /// A count that is told for itself.
    #[must_use]
    pub fn any(what: &'static str, found: u64) -> Self {
        Self {
            what,
            found,
            expected: None,
        }
    }

    /// Whether it is what it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.expected.is_none_or(|expected| expected == self.found)
    }
}

impl Row for Count {
    const HEADER: &'static [&'static str] = &["COUNTED", "FOUND", "EXPECTED", ""];

    fn cells(&self) -> Vec<Cell> {
        let verdict = match (self.expected, self.holds()) {
            (None, _) => Cell::from(""),
            (Some(_), true) => Cell::toned(Tone::Good, "ok"),
            (Some(_), false) => Cell::toned(Tone::Bad, "WRONG"),
        };
        vec![
            self.what.into(),
            self.found.to_string().into(),
            self.expected
                .map(|expected| expected.to_string())
                .unwrap_or_default()
                .into(),
            verdict,
        ]
    }

    fn id(&self) -> &str {
        self.what
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Palette;
    use crate::output::table::columns;

    #[test]
    fn a_count_that_is_off_stands_out() {
        let counts = [
            Count::exactly("contacts in the CRM", 200, 200),
            Count::exactly("invoices at the billing service", 201, 200),
            Count::any("attempts retried", 37),
        ];
        let rows = counts.iter().map(Row::cells).collect();
        insta::assert_snapshot!(columns(Count::HEADER, rows, Palette::Plain));
        assert_eq!(counts.map(|count| count.holds()), [true, false, true]);
    }
}
