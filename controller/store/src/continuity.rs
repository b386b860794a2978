//! Whether the database still is the one that acknowledged our commits.
//!
//! An asynchronous standby that is promoted may lack the last of them, and so does a database restored to an earlier
//! point. Nobody says so: the new server answers as if nothing had been. Three numbers give it away: the cluster's
//! identifier, the timeline of its write-ahead log, which rises with each promotion, and the position in that log,
//! which never goes back. Each new connection reads them before anything else uses it, and compares them with the
//! highest that were seen.
//!
//! What is lost is lost; what must not happen is that this process believes otherwise. Leases that the new server does
//! not know are refused by their nonce; whoever holds leases that it does know gets the time to say so; what is cached
//! in memory is dropped.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::PgStore;
use crate::upkeep::AlarmKind;

/// Where a server stands in its write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Of the cluster, drawn when it was made; standbys share it.
    pub system: i64,
    /// Rises by one at each promotion.
    pub timeline: i64,
    /// Bytes of log that are on disk.
    pub flushed: i64,
}

/// A break in the history of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Another server was promoted. Commits are missing for certain if it is behind what had been seen.
    Failover {
        /// The highest that was seen.
        before: Position,
        /// What answers now.
        after: Position,
    },
    /// The same timeline, at an earlier position: a copy was restored in place.
    Rewind {
        /// The highest that was seen.
        before: Position,
        /// What answers now.
        after: Position,
    },
    /// A cluster of another origin.
    OtherCluster {
        /// The highest that was seen.
        before: Position,
        /// What answers now.
        after: Position,
    },
}

impl Break {
    /// Its kind, as an alarm.
    #[must_use]
    pub const fn kind(&self) -> AlarmKind {
        match self {
            Break::Failover { .. } => AlarmKind::Failover,
            Break::Rewind { .. } => AlarmKind::Rewind,
            Break::OtherCluster { .. } => AlarmKind::OtherCluster,
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Break::Failover { before, after } if after.flushed < before.flushed => write!(
                f,
                "the database failed over (timeline {} to {}) to a server that lacks the last {} bytes of its log: acknowledged commits are lost",
                before.timeline,
                after.timeline,
                before.flushed - after.flushed
            ),
            Break::Failover { before, after } => write!(
                f,
                "the database failed over (timeline {} to {}); commits acknowledged just before may be lost",
                before.timeline, after.timeline
            ),
            Break::Rewind { before, after } => write!(
                f,
                "the database went back by {} bytes of its log: it was restored to an earlier point, and acknowledged commits are lost",
                before.flushed - after.flushed
            ),
            Break::OtherCluster { before, after } => write!(
                f,
                "another database cluster answers at this address (system identifier {}, before {})",
                after.system, before.system
            ),
        }
    }
}

type Listener = Box<dyn Fn(&Break) + Send + Sync>;

/// The highest position that was seen, and who is told of a break. Cheap to clone; clones are one.
#[derive(Clone, Default)]
pub struct Watermark {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    seen: Mutex<Seen>,
    listener: OnceLock<Listener>,
}

#[derive(Default)]
struct Seen {
    highest: Option<Position>,
    /// Breaks so far.
    breaks: u64,
    unrecorded: Vec<Break>,
}

/// What a server that is still the same must be at or beyond, if it is asked from now on.
#[derive(Debug, Clone, Copy)]
pub struct Expectation {
    highest: Option<Position>,
    breaks: u64,
}

/// Breaks that wait to be written down; more than these are one and the same trouble.
const UNRECORDED_MAX: usize = 16;

impl Watermark {
    /// Who is told, at once and before the connection that met it is used. The first listener stays.
    pub fn on_break(&self, listener: impl Fn(&Break) + Send + Sync + 'static) {
        // A second listener is a mistake of the caller's that does no harm.
        let _ = self.inner.listener.set(Box::new(listener));
    }

    /// What to compare with. Taken before the server is asked: answers of several connections arrive in any order.
    #[must_use]
    pub fn expectation(&self) -> Expectation {
        let seen = self.lock();
        Expectation {
            highest: seen.highest,
            breaks: seen.breaks,
        }
    }

    /// Compares what a server says with what was expected of it, and goes on from there. A break is told once,
    /// however many connections meet it.
    pub fn observe(&self, expected: Expectation, after: Position) -> Option<Break> {
        let found = {
            let mut seen = self.lock();
            if seen.breaks != expected.breaks {
                return None;
            }
            let found = expected.highest.and_then(|before| compare(before, after));
            match (found, seen.highest) {
                (None, Some(highest)) if highest.flushed > after.flushed => {}
                _ => seen.highest = Some(after),
            }
            if let Some(found) = found {
                seen.breaks += 1;
                if seen.unrecorded.len() < UNRECORDED_MAX {
                    seen.unrecorded.push(found);
                }
            }
            found
        };
        if let Some(found) = &found {
            tracing::error!(kind = ?found.kind(), "{found}");
            if let Some(listener) = self.inner.listener.get() {
                listener(found);
            }
        }
        found
    }

    /// Whether a server has told its position.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.lock().highest.is_some()
    }

    /// Breaks so far. Whoever keeps something in memory compares, before using it, with the count it had when it read
    /// that.
    #[must_use]
    pub fn breaks(&self) -> u64 {
        self.lock().breaks
    }

    /// Are there breaks that have not been written down yet?
    #[must_use]
    pub fn has_unrecorded(&self) -> bool {
        !self.lock().unrecorded.is_empty()
    }

    /// Breaks that have not been written down yet; the caller does so now.
    #[must_use]
    pub fn take_unrecorded(&self) -> Vec<Break> {
        std::mem::take(&mut self.lock().unrecorded)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // Plain values are valid whatever panicked around them.
        self.inner
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl PgStore {
    /// The watermark of this store's connections.
    #[must_use]
    pub fn watermark(&self) -> Watermark {
        self.pools.watermark.clone()
    }
}

impl fmt::Debug for Watermark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watermark")
            .field("highest", &self.lock().highest)
            .finish_non_exhaustive()
    }
}

fn compare(before: Position, after: Position) -> Option<Break> {
    if before.system != after.system {
        Some(Break::OtherCluster { before, after })
    } else if before.timeline != after.timeline {
        Some(Break::Failover { before, after })
    } else if after.flushed < before.flushed {
        Some(Break::Rewind { before, after })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn at(system: i64, timeline: i64, flushed: i64) -> Position {
        Position {
            system,
            timeline,
            flushed,
        }
    }

    fn observe(mark: &Watermark, after: Position) -> Option<AlarmKind> {
        let expected = mark.expectation();
        mark.observe(expected, after).map(|found| found.kind())
    }

    #[test]
    fn a_server_that_goes_on_is_the_same() {
        let mark = Watermark::default();
        assert_eq!(observe(&mark, at(1, 1, 100)), None);
        assert_eq!(observe(&mark, at(1, 1, 100)), None);
        assert_eq!(observe(&mark, at(1, 1, 900)), None);
    }

    #[test]
    fn a_promoted_standby_a_restored_copy_and_a_stranger_are_told_apart() {
        let mark = Watermark::default();
        assert_eq!(observe(&mark, at(1, 1, 900)), None);
        assert_eq!(observe(&mark, at(1, 2, 1_000)), Some(AlarmKind::Failover));
        assert_eq!(observe(&mark, at(1, 2, 500)), Some(AlarmKind::Rewind));
        assert_eq!(observe(&mark, at(1, 2, 600)), None);
        assert_eq!(observe(&mark, at(7, 1, 600)), Some(AlarmKind::OtherCluster));
        assert_eq!(mark.take_unrecorded().len(), 3);
        assert!(mark.take_unrecorded().is_empty());
    }

    #[test]
    fn a_failover_behind_what_was_seen_says_that_commits_are_lost() {
        let mark = Watermark::default();
        observe(&mark, at(1, 1, 900));
        let expected = mark.expectation();
        let found = mark.observe(expected, at(1, 2, 850)).unwrap();
        assert!(
            found.to_string().contains("lacks the last 50 bytes"),
            "{found}"
        );
    }

    #[test]
    fn answers_that_overtake_each_other_are_no_step_back() {
        let mark = Watermark::default();
        observe(&mark, at(1, 1, 100));
        let (slow, fast) = (mark.expectation(), mark.expectation());
        assert!(mark.observe(fast, at(1, 1, 300)).is_none());
        assert!(mark.observe(slow, at(1, 1, 200)).is_none());
        assert_eq!(observe(&mark, at(1, 1, 250)), Some(AlarmKind::Rewind));
    }

    #[test]
    fn a_break_that_many_connections_meet_is_told_once() {
        let mark = Watermark::default();
        let told = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&told);
        mark.on_break(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        observe(&mark, at(1, 1, 100));
        let expectations = [mark.expectation(), mark.expectation(), mark.expectation()];
        for expected in expectations {
            mark.observe(expected, at(1, 2, 90));
        }
        assert_eq!((told.load(Ordering::Relaxed), mark.breaks()), (1, 1));
    }
}
