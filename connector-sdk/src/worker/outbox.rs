//! Reports on their way: which to hand in next, in which company, and for how long to go on.
//!
//! One report that the controller cannot take now holds up no other: each waits for its own time.

use std::{collections::VecDeque, time::Duration};

use fulcrum_proto::worker::v1::TaskReport;
use prost::Message as _;
use tokio::time::Instant;

use crate::backoff::Backoff;

/// A call carries one report of any size, or several up to this many bytes together.
const CALL_BYTES_MAX: usize = 2 << 20;
/// How often a report is handed in that the controller fails on: about 40 s, longer than a lease lasts unrenewed.
const DEFECTS_MAX: u32 = 10;

/// Reports that are not settled, in the order they came.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Waiting>,
}

/// A report that is not settled.
pub(super) struct Waiting {
    pub(super) report: TaskReport,
    due: Instant,
    backoff: Backoff,
    defects: u32,
    /// Handed in by itself, because a call it was in was refused as a whole.
    alone: bool,
}

impl Waiting {
    pub(super) fn new(report: TaskReport, now: Instant) -> Self {
        Self {
            report,
            due: now,
            backoff: Backoff::default(),
            defects: 0,
            alone: false,
        }
    }

    /// Hands it in again after a pause, at least as long as was asked for.
    pub(super) fn later(mut self, now: Instant, asked: Option<Duration>) -> Self {
        self.due = now + self.backoff.next(asked);
        self
    }

    /// Notes that the controller failed on it, and says whether that happened too often to go on.
    pub(super) fn failed_too_often(&mut self) -> bool {
        self.defects += 1;
        self.defects >= DEFECTS_MAX
    }

    /// Hands it in by itself.
    pub(super) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }
}

impl Outbox {
    pub(super) fn push(&mut self, waiting: Waiting) {
        self.waiting.push_back(waiting);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Puts back what was taken, before all others and in its order.
    pub(super) fn put_back(&mut self, taken: Vec<Waiting>) {
        for waiting in taken.into_iter().rev() {
            self.waiting.push_front(waiting);
        }
    }

    /// When the next report is due; `None` if there is none.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.due).min()
    }

    /// Takes the reports of the next call, `batch_max` at most; none if none is due at `now`.
    pub(super) fn take(&mut self, now: Instant, batch_max: usize) -> Vec<Waiting> {
        let mut taken: Vec<Waiting> = Vec::new();
        let mut bytes = 0;
        let mut at = 0;
        while let Some(next) = self.waiting.get(at) {
            let fits = next.due <= now && (taken.is_empty() || !next.alone);
            if !fits {
                at += 1;
                continue;
            }
            bytes += next.report.encoded_len();
            let full = bytes > CALL_BYTES_MAX || taken.len() >= batch_max;
            if full && !taken.is_empty() {
                break;
            }
            let alone = next.alone;
            taken.extend(self.waiting.remove(at));
            if alone {
                break;
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(name: &str, now: Instant) -> Waiting {
        let report = TaskReport {
            lease: name.to_owned().into(),
            ..TaskReport::default()
        };
        Waiting::new(report, now)
    }

    fn names(taken: &[Waiting]) -> Vec<&[u8]> {
        taken
            .iter()
            .map(|waiting| &waiting.report.lease[..])
            .collect()
    }

    #[test]
    fn reports_go_in_order_and_one_that_waits_holds_up_no_other() {
        let mut outbox = Outbox::default();
        let asked = Some(Duration::from_secs(5));
        let now = Instant::now();
        outbox.push(report("a", now).later(now, asked));
        outbox.push(report("b", now));
        outbox.push(report("c", now));
        assert_eq!(names(&outbox.take(now, 100)), [b"b", b"c"]);
        assert!(outbox.take(now, 100).is_empty());
        let due = outbox.next_due().expect("one is left");
        assert!(due >= now + Duration::from_secs(5));
        assert_eq!(names(&outbox.take(due, 100)), [b"a"]);
        assert_eq!(outbox.next_due(), None);
    }

    #[test]
    fn a_call_keeps_to_its_limits_and_suspects_go_alone() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for name in ["a", "b", "c"] {
            outbox.push(report(name, now));
        }
        let taken = outbox.take(now, 2);
        assert_eq!(names(&taken), [b"a", b"b"]);
        outbox.put_back(taken.into_iter().map(Waiting::alone).collect());
        assert_eq!(names(&outbox.take(now, 100)), [b"a"]);
        assert_eq!(names(&outbox.take(now, 100)), [b"b"]);
        assert_eq!(names(&outbox.take(now, 100)), [b"c"]);
    }

    #[test]
    fn a_report_that_the_controller_fails_on_is_given_up_in_the_end() {
        let now = Instant::now();
        let mut waiting = report("a", now);
        for _ in 1..DEFECTS_MAX {
            assert!(!waiting.failed_too_often());
            waiting = waiting.later(now, None);
        }
        assert!(waiting.failed_too_often());
    }
}
