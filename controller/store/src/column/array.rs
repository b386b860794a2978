//! From rows to the arrays that `unnest` takes apart again.

use fulcrum_core::ids::Shard;

/// One column of a list of rows.
pub(crate) fn column<'a, T: 'a, U>(
    rows: impl IntoIterator<Item = &'a T>,
    value: impl Fn(&'a T) -> U,
) -> Vec<U> {
    rows.into_iter().map(value).collect()
}

/// A shard ordinal as stored: at most 4,095.
pub(crate) fn shard(shard: Shard) -> i16 {
    i16::try_from(shard.0 & 0x0FFF).expect("twelve bits fit")
}

/// A count as stored. Counts of the core that could exceed the column are capped there long before.
pub(crate) fn long(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A small count as stored.
pub(crate) fn int(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// An event's kind or schema number as stored: variant indices and versions, far below the column's limit.
pub(crate) fn small(number: u16) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}
