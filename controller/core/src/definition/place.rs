//! Places in a source text, and the way from a path of the document back to them.

use std::collections::BTreeMap;

use crate::definition::diagnostic::{Code, Diagnostic};
use crate::expr::Position;

/// A place in the source; both count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Place {
    /// The very beginning.
    pub const START: Place = Place { line: 1, column: 1 };

    pub(crate) fn diagnostic(self, code: Code, path: &str, message: String) -> Diagnostic {
        Diagnostic {
            line: self.line,
            column: self.column,
            code,
            path: path.to_owned(),
            message,
        }
    }
}

/// Where everything in a source stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceMap {
    places: BTreeMap<String, Place>,
    lines: Vec<String>,
}

impl SourceMap {
    pub(crate) fn new(text: &str, places: BTreeMap<String, Place>) -> Self {
        Self {
            places,
            lines: text
                .split('\n')
                .map(|line| line.trim_end_matches('\r').to_owned())
                .collect(),
        }
    }

    /// Where the value at a path starts, or the nearest value around it: short forms leave steps of a path out.
    #[must_use]
    pub fn locate(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.places.get("").copied().unwrap_or(Place::START),
            }
        }
    }

    /// Where in the source a position inside the `nth` expression of the text at a path is. Exact for texts on one line
    /// and for literal blocks; otherwise the beginning of the expression.
    #[must_use]
    pub fn locate_in_expression(&self, path: &str, nth: usize, at: Option<Position>) -> Place {
        let text = self.locate(path);
        let Some(start) = self.expression_start(text, nth) else {
            return text;
        };
        match at {
            None => start,
            Some(at) if at.line == 1 => self.advance(text, start, at.column - 1),
            Some(at) => self.on_later_line(start, at).unwrap_or(start),
        }
    }

    /// Behind the `nth` `${` (and white space) from a place on.
    fn expression_start(&self, from: Place, nth: usize) -> Option<Place> {
        let mut seen = 0;
        let mut line = from.line as usize - 1;
        let mut column = from.column as usize - 1;
        loop {
            let chars: Vec<char> = self.lines.get(line)?.chars().collect();
            while column + 1 < chars.len() {
                let opens = chars[column] == '$' && chars[column + 1] == '{';
                let escaped = column > 0 && chars[column - 1] == '$';
                if opens && !escaped {
                    if seen == nth {
                        return self.skip_space(line, column + 2);
                    }
                    seen += 1;
                }
                column += 1;
            }
            line += 1;
            column = 0;
        }
    }

    fn skip_space(&self, mut line: usize, mut column: usize) -> Option<Place> {
        loop {
            let rest = self.lines.get(line)?.chars().skip(column);
            match rest.take_while(|c| c.is_whitespace()).count() {
                space if column + space < self.lines[line].chars().count() => {
                    let narrow = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
                    return Some(Place {
                        line: narrow(line),
                        column: narrow(column + space),
                    });
                }
                _ => (line, column) = (line + 1, 0),
            }
        }
    }

    /// So many characters of the text further on, where a quoted text spends two on an escape.
    fn advance(&self, text: Place, start: Place, columns: u32) -> Place {
        let char_at = |place: Place| {
            self.lines
                .get(place.line as usize - 1)
                .and_then(|l| l.chars().nth(place.column as usize - 1))
        };
        let escape = match char_at(text) {
            Some('"') => Some('\\'),
            Some('\'') => Some('\''),
            _ => None,
        };
        let mut at = start;
        for _ in 0..columns {
            at.column += if escape.is_some() && char_at(at) == escape {
                2
            } else {
                1
            };
        }
        at
    }

    /// In a literal block the lines of the expression are lines of the source, with more indentation.
    fn on_later_line(&self, start: Place, at: Position) -> Option<Place> {
        let line = start.line + at.line - 1;
        let source = self.lines.get(line as usize - 1)?;
        // How much the block is indented: what the line has less the first line of the block cannot be known here, so
        // the indentation of the shallowest line between is taken.
        let indent = (start.line..=line)
            .filter_map(|n| self.lines.get(n as usize - 1))
            .filter(|l| !l.trim().is_empty())
            .map(|l| l.chars().take_while(|c| *c == ' ').count())
            .min()?;
        let column = u32::try_from(indent).ok()? + at.column;
        (column as usize <= source.chars().count() + 1).then_some(Place { line, column })
    }
}
