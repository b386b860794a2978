//! Where something rests: the context it is sealed with.

use std::fmt;

/// A column of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The table.
    pub table: &'a str,
    /// The column.
    pub column: &'a str,
    /// The row, by its key.
    pub row: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, column, row } = self;
        write!(f, "`{table}.{column}` of {row}")
    }
}

impl Place<'_> {
    /// The context: each part with its length before it, so that no two places have the same.
    #[must_use]
    pub fn context(&self) -> Vec<u8> {
        let mut context = Vec::new();
        for part in [self.table, self.column, self.row] {
            let bytes = u32::try_from(part.len()).expect("names and keys of rows are short");
            context.extend(bytes.to_be_bytes());
            context.extend(part.as_bytes());
        }
        context
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_places_have_the_same_context() {
        let place = |table, column, row| Place { table, column, row }.context();
        assert_eq!(place("a", "b", "c"), b"\0\0\0\x01a\0\0\0\x01b\0\0\0\x01c");
        assert_ne!(place("ab", "c", "d"), place("a", "bc", "d"));
        assert_ne!(place("a", "b", "cd"), place("a", "bc", "d"));
    }
}
