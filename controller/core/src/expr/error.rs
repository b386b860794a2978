//! What can be wrong with an expression.

use std::fmt;

/// A place in an expression's own text; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Position {
    /// The position of a byte offset in a text; the end of the text if it lies beyond.
    #[must_use]
    pub fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..end];
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Self {
            line: narrow(line),
            column: narrow(column),
        }
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not an expression. The author must correct it.
    Syntax,
    /// It names something that does not exist here. The author must correct it.
    Name,
    /// It is too long, too deep or too much work; the message names the limit.
    Limit,
    /// The data does not fit: a missing key, a wrong type, a division by zero.
    Evaluation,
}

/// An expression that cannot be parsed or evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ExpressionError {
    /// Whose fault it is.
    pub kind: ErrorKind,
    /// What is wrong and what to do.
    pub message: String,
    /// Where, if it is a place in the text.
    pub at: Option<Position>,
}

impl ExpressionError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            at: None,
        }
    }

    pub(crate) fn at(kind: ErrorKind, message: impl Into<String>, at: Position) -> Self {
        Self {
            kind,
            message: message.into(),
            at: Some(at),
        }
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
