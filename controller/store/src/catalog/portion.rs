//! What was read of a listing that is bounded in rows and bytes.

/// A page, and whether there is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portion<T> {
    /// The rows, in order. Never empty while there are any.
    pub items: Vec<T>,
    /// What comes after them.
    pub rest: Rest,
}

/// What comes after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// More rows.
    More,
    /// Nothing.
    Nothing,
}

impl<T> Portion<T> {
    /// Rows of a statement that met `found`, which is one more than it was to show if there are more.
    pub(crate) fn of(items: Vec<T>, found: i64) -> Self {
        let rest = if i64::try_from(items.len()).is_ok_and(|shown| shown < found) {
            Rest::More
        } else {
            Rest::Nothing
        };
        Self { items, rest }
    }
}
