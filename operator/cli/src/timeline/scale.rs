//! Time to columns of a bar, without rounding.

use std::time::Duration;

use jiff::Timestamp;

use super::shape::Span;
use crate::output::time;

/// Least distance between two times on the axis, in columns.
const TICK_COLUMNS: usize = 12;

/// Time to columns.
pub(super) struct Scale {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) columns: usize,
}

impl Scale {
    /// The whole, in nanoseconds, at least one, so that a run that took no time has a scale too.
    fn total(&self) -> u128 {
        time::between(self.from, self.to).as_nanos().max(1)
    }

    fn offset(&self, at: Timestamp) -> u128 {
        time::between(self.from, at).as_nanos().min(self.total())
    }

    pub(super) fn column(&self, at: Timestamp) -> usize {
        let column = self.offset(at) * self.columns as u128 / self.total();
        usize::try_from(column)
            .unwrap_or(usize::MAX)
            .min(self.columns - 1)
    }

    /// The edges of a column, in nanoseconds times the number of columns, so that nothing is rounded.
    fn edges(&self, column: usize) -> (u128, u128) {
        (
            self.total() * column as u128,
            self.total() * (column as u128 + 1),
        )
    }

    pub(super) fn touches(&self, span: &Span, column: usize) -> bool {
        self.column(span.from) == column || self.overlap(span, column) > 0
    }

    pub(super) fn overlap(&self, span: &Span, column: usize) -> u128 {
        let (left, right) = self.edges(column);
        let scaled = |at| self.offset(at) * self.columns as u128;
        scaled(span.to)
            .min(right)
            .saturating_sub(scaled(span.from).max(left))
    }

    /// Times at even distances, each standing where its time is.
    pub(super) fn axis(&self) -> String {
        let ticks = (self.columns / TICK_COLUMNS).max(1);
        let mut axis = String::new();
        for tick in 0..ticks {
            let column = self.columns * tick / ticks;
            let nanos = self.total() * tick as u128 / ticks as u128;
            let label = format!(
                "|{}",
                time::span(Duration::from_nanos(
                    u64::try_from(nanos).unwrap_or(u64::MAX)
                ))
            );
            let used = axis.chars().count();
            if column >= used {
                axis.push_str(&" ".repeat(column - used));
                axis.push_str(&label);
            }
        }
        axis.chars().take(self.columns).collect()
    }
}
