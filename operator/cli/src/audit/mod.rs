//! The record, checked on this machine from what is stored.
//!
//! - [`recorded`]: the installation log, entry by entry, up to a signed head: what it says of each run;
//! - [`judge`]: timelines held against it, and what was found;
//! - [`bundle`]: all of it in one file, for checking anywhere;
//! - [`live`]: all of it from a controller.

pub mod bundle;
pub mod judge;
pub mod live;
pub mod recorded;
#[cfg(test)]
mod tests;

use crate::timeline::chain::ChainFault;

/// Something that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// Entries of the log.
    #[error("entries {from} to {to} of the installation log are not those that were signed")]
    Entries {
        /// The first that may be wrong.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Entries that are not there.
    #[error("entries {from} to {to} of the installation log are missing")]
    Gap {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// An entry that cannot be read.
    #[error(
        "entry {place} of the installation log cannot be read: it is damaged, or of a later version"
    )]
    Unreadable {
        /// Its place.
        place: u64,
    },
    /// A timeline that does not hold by itself.
    #[error("the timeline of {run} does not hold: {fault}")]
    Timeline {
        /// The run.
        run: String,
        /// Where.
        fault: ChainFault,
    },
    /// A timeline that holds, and is another than the log says.
    #[error(
        "event {seq} of {run} is not the one that was recorded: its timeline was written anew from there or before"
    )]
    Rewritten {
        /// The run.
        run: String,
        /// The first recorded event that differs.
        seq: u64,
    },
    /// A timeline that ends before the log says.
    #[error(
        "the timeline of {run} ends with event {found}; {recorded} were recorded: its end is missing"
    )]
    CutOff {
        /// The run.
        run: String,
        /// The last event there is.
        found: u64,
        /// The last that was recorded.
        recorded: u64,
    },
    /// A run that the log knows and nothing else.
    #[error("{run} was recorded with {recorded} events, and is not there")]
    Missing {
        /// The run.
        run: String,
        /// The last event that was recorded.
        recorded: u64,
    },
    /// Events that the log does not know.
    #[error("events {from} to {to} of {run} were never recorded")]
    Unrecorded {
        /// The run.
        run: String,
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// A day that left with other runs than were recorded.
    #[error("the runs of {day}, which left by retention, are not those that were recorded")]
    Day {
        /// The day.
        day: String,
    },
    /// A file that was cut off.
    #[error("the file has no end: it was cut off")]
    NoEnd,
}
