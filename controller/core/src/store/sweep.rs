//! Sweeps: what is due, page by page, in order of (instant, id).
//!
//! A sweep goes on after the last key it saw and begins again when it reaches the end, so rows that cannot be acted on
//! never stand in front of those behind them.

use uuid::Uuid;

use crate::ids::RunId;
use crate::time::Timestamp;

/// A place in a sweep's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SweepKey {
    /// The row's instant.
    pub at: Timestamp,
    /// The row's own id.
    pub id: Uuid,
}

/// One page of what is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep<T> {
    /// Rows that could be read, in order.
    pub rows: Vec<T>,
    /// Rows that could not. They are skipped, and not the reason to stop.
    pub unreadable: Vec<UnreadableRow>,
    /// Where the next page begins; `None` after the last one: begin again.
    pub next: Option<SweepKey>,
}

/// A due row whose columns do not decode, or hold what a newer version wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    /// The row's own id.
    pub id: Uuid,
    /// Its run.
    pub run: RunId,
    /// What is wrong.
    pub problem: String,
}

impl<T> Default for Sweep<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            unreadable: Vec::new(),
            next: None,
        }
    }
}

impl<T> Sweep<T> {
    /// The page of at most `limit` rows after `after`, from all rows in order.
    pub fn page(
        all: impl IntoIterator<Item = (SweepKey, T)>,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut page = Self::default();
        let later = all
            .into_iter()
            .filter(|(key, _)| after.is_none_or(|after| *key > after));
        for (key, row) in later.take(limit) {
            page.rows.push(row);
            page.next = (page.rows.len() == limit).then_some(key);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: i64) -> SweepKey {
        SweepKey {
            at: Timestamp(n / 2),
            id: Uuid::from_u128(u128::from(n.unsigned_abs())),
        }
    }

    #[test]
    fn pages_cover_everything_once_and_the_last_one_says_so() {
        let all = || (0..5).map(|n| (key(n), n));
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = Sweep::page(all(), after, 2);
            seen.extend(page.rows);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }
}
