//! What is wrong with a definition, for people: a code, a sentence, a place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Problems collected before a search for more is pointless; each may be looked up among a thousand names.
pub(crate) const DIAGNOSTICS_MAX: usize = 500;

/// One problem of a definition's source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Line in the source, from 1.
    pub line: u32,
    /// Column in the source, from 1, in characters.
    pub column: u32,
    /// What kind of problem.
    pub code: Code,
    /// Where in the document, for example `steps[2].with.email`; empty for the document itself.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} [{}]",
            self.line, self.column, self.message, self.code
        )
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The stable name of a kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code, in the order of the guide.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as it is printed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// Not YAML (or JSON).
    Syntax = "SYNTAX",
    /// Too long, too deep, too many; the message names the limit.
    TooLarge = "TOO_LARGE",
    /// Anchors, aliases, tags, merge keys: not part of the language.
    Unsupported = "UNSUPPORTED",
    /// Known to the language, not available in this version.
    NotAvailable = "NOT_AVAILABLE",
    /// A key that does not exist here.
    UnknownKey = "UNKNOWN_KEY",
    /// A key given twice.
    DuplicateKey = "DUPLICATE_KEY",
    /// A key that must be given.
    MissingKey = "MISSING_KEY",
    /// A value of the wrong type.
    WrongType = "WRONG_TYPE",
    /// A value of the right type that is not allowed.
    InvalidValue = "INVALID_VALUE",
    /// A step with no kind or with two.
    StepKind = "STEP_KIND",
    /// Two steps with one id.
    DuplicateId = "DUPLICATE_ID",
    /// A reference to a step that does not exist.
    UnknownStep = "UNKNOWN_STEP",
    /// A reference to a step that cannot have closed yet.
    StepNotReady = "STEP_NOT_READY",
    /// `needs` that wait for each other.
    NeedsCycle = "NEEDS_CYCLE",
    /// An expression that does not parse.
    Expression = "EXPRESSION",
    /// A name in an expression that means nothing here.
    UnknownName = "UNKNOWN_NAME",
    /// A schema that is not a JSON Schema, or reaches outside the document.
    Schema = "SCHEMA",
    /// A capability that no worker has registered.
    UnknownCapability = "UNKNOWN_CAPABILITY",
    /// A workflow that does not exist.
    UnknownWorkflow = "UNKNOWN_WORKFLOW",
    /// A `with` that does not fit the capability's contract.
    ContractMismatch = "CONTRACT_MISMATCH",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The candidate that somebody who typed `word` most likely meant: at most a third of it mistyped, or one letter of two.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let length = word.chars().count();
    let budget = (length / 3).max(1).min(length.saturating_sub(1));
    candidates
        .map(|c| (distance(word, c), c))
        .filter(|(d, _)| *d <= budget)
        .min()
        .map(|(_, c)| c)
}

/// ` — did you mean …?`, or nothing.
pub(crate) fn hint<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Levenshtein distance with swaps of neighbours (optimal string alignment), over at most 64 characters.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut rows: [Vec<usize>; 3] = [Vec::new(), Vec::new(), (0..=b.len()).collect()];
    for (i, ca) in a.iter().enumerate() {
        rows.rotate_left(1);
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let mut best = (rows[1][j] + usize::from(ca != cb))
                .min(rows[1][j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && *ca == b[j - 1] && a[i - 1] == *cb {
                best = best.min(rows[0][j - 1] + 1);
            }
            row.push(best);
        }
        rows[2] = row;
    }
    rows[2][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_recognised_and_other_words_are_not() {
        let words = ["timeout", "retry", "when", "priority"];
        assert_eq!(nearest("timeuot", words.into_iter()), Some("timeout"));
        assert_eq!(nearest("rety", words.into_iter()), Some("retry"));
        assert_eq!(nearest("concurrency", words.into_iter()), None);
        assert_eq!(nearest("", words.into_iter()), None);
        assert_eq!(nearest("x", ["a", "b"].into_iter()), None);
    }

    #[test]
    fn codes_are_unique() {
        let unique: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(unique.len(), Code::ALL.len());
    }
}
