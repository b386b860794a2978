//! What a sweep keeps in mind from tick to tick: where it stands, and which rows keep failing.
//!
//! A row that cannot be read, or whose command fails again and again, rests for ever longer spans. It is met on every
//! round and passed over, so neither it nor its log lines stand in the way of the rows behind it. What is remembered
//! here is a courtesy: forgotten rows are tried again, and every controller learns for itself.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use fulcrum_core::ids::RunId;
use fulcrum_core::store::{StoreError, Sweep, SweepKey};
use tokio::time::Instant;
use uuid::Uuid;

use super::item::LaneError;
use crate::clock;
use crate::loops::Progress;

/// Rest after the first failure; it doubles with each further one.
const REST_MIN: Duration = Duration::from_secs(1);
/// Longest rest.
const REST_MAX: Duration = Duration::from_secs(300);
/// Failing rows remembered. Beyond it, those whose rest ends first are forgotten.
const ROWS_MAX: usize = 4_096;

/// The rounds of one sweep.
#[derive(Debug)]
pub struct Rounds {
    what: &'static str,
    after: Option<SweepKey>,
    failing: HashMap<Uuid, Failing>,
}

#[derive(Debug, Clone, Copy)]
struct Failing {
    times: u32,
    rests_until: Instant,
}

impl Rounds {
    /// At the beginning. `what` names a row in the log.
    #[must_use]
    pub fn of(what: &'static str) -> Self {
        Self {
            what,
            after: None,
            failing: HashMap::new(),
        }
    }

    /// Where the next page begins.
    #[must_use]
    pub fn after(&self) -> Option<SweepKey> {
        self.after
    }

    /// What a tick tells its driver: the next page at once, the next round after the period.
    #[must_use]
    pub fn progress(&self, worked: u64) -> Progress {
        match self.after {
            Some(_) => Progress::more(worked),
            None => Progress::done(worked),
        }
    }

    /// Takes a page in and gives back the rows that are to be acted on now.
    pub fn take<T>(&mut self, page: Sweep<T>, id: impl Fn(&T) -> Uuid) -> Vec<T> {
        self.after = page.next;
        let now = clock::monotonic();
        for row in page.unreadable {
            if !self.rests(row.id, now) {
                self.fails(row.id, row.run, &row.problem);
            }
        }
        let mut rows = page.rows;
        rows.retain(|row| !self.rests(id(row), now));
        rows
    }

    /// The row was dealt with.
    pub fn settled(&mut self, id: Uuid) {
        self.failing.remove(&id);
    }

    /// Acting on the row failed. It rests, unless the failure says nothing about the row itself.
    pub fn failed(&mut self, id: Uuid, run: RunId, error: &LaneError) {
        if is_of_the_moment(error) {
            tracing::debug!(%id, %run, %error, "a due {} has to wait", self.what);
        } else {
            self.fails(id, run, error);
        }
    }

    /// The row was due, and acting on it meant nothing: it rests, in case that stays so.
    pub fn meant_nothing(&mut self, id: Uuid, run: RunId) {
        self.fails(id, run, &"its run does not wait for it");
    }

    fn rests(&self, id: Uuid, now: Instant) -> bool {
        self.failing
            .get(&id)
            .is_some_and(|failing| now < failing.rests_until)
    }

    fn fails(&mut self, id: Uuid, run: RunId, problem: &dyn fmt::Display) {
        let times = self
            .failing
            .get(&id)
            .map_or(1, |failing| failing.times.saturating_add(1));
        let rest = REST_MIN
            .saturating_mul(1 << (times - 1).min(16))
            .min(REST_MAX);
        if times == 1 {
            tracing::info!(%id, %run, %problem, "a due {} failed", self.what);
        } else {
            tracing::warn!(%id, %run, %problem, times, ?rest, "a due {} keeps failing", self.what);
        }
        if self.failing.len() >= ROWS_MAX && !self.failing.contains_key(&id) {
            let first = self
                .failing
                .iter()
                .min_by_key(|(_, failing)| failing.rests_until);
            if let Some(first) = first.map(|(id, _)| *id) {
                self.failing.remove(&first);
            }
        }
        let rests_until = clock::monotonic() + rest;
        self.failing.insert(id, Failing { times, rests_until });
    }
}

/// Does the error say something about this moment, and nothing about the row?
fn is_of_the_moment(error: &LaneError) -> bool {
    match error {
        LaneError::Overloaded | LaneError::Draining | LaneError::Contended(_) => true,
        LaneError::Store(error) => match error {
            StoreError::Unavailable(_)
            | StoreError::Retry(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::BlobsUnavailable { .. }
            | StoreError::Full(_) => true,
            StoreError::Corrupt { .. }
            | StoreError::CorruptPayload { .. }
            | StoreError::Newer { .. }
            | StoreError::Refused(_) => false,
        },
        LaneError::Rejected(_)
        | LaneError::Duplicate(_)
        | LaneError::KeyTaken(_)
        | LaneError::Definition { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulcrum_core::ids::Shard;
    use fulcrum_core::time::Timestamp;

    fn run() -> RunId {
        RunId::new(Timestamp::from_millis(1), Shard(0), 1)
    }

    fn page(ids: impl IntoIterator<Item = u128>) -> Sweep<Uuid> {
        Sweep {
            rows: ids.into_iter().map(Uuid::from_u128).collect(),
            ..Sweep::default()
        }
    }

    fn corrupt() -> LaneError {
        let problem = "x".to_owned();
        LaneError::Store(StoreError::Corrupt {
            run: run(),
            problem,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_row_rests_ever_longer_and_the_others_do_not() {
        let mut rounds = Rounds::of("timer");
        let (bad, good) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for rest_secs in [1, 2, 4] {
            assert_eq!(rounds.take(page([1, 2]), |id| *id), [bad, good]);
            rounds.failed(bad, run(), &corrupt());
            rounds.settled(good);
            tokio::time::advance(Duration::from_millis(rest_secs * 1_000 - 1)).await;
            assert_eq!(rounds.take(page([1, 2]), |id| *id), [good]);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_unavailable_database_is_not_held_against_a_row() {
        let mut rounds = Rounds::of("timer");
        let away = LaneError::Store(StoreError::Unavailable("away".to_owned()));
        rounds.failed(Uuid::from_u128(1), run(), &away);
        assert_eq!(rounds.take(page([1]), |id| *id).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let mut rounds = Rounds::of("timer");
        for id in 0..ROWS_MAX as u128 + 10 {
            rounds.failed(Uuid::from_u128(id), run(), &corrupt());
        }
        assert_eq!(rounds.failing.len(), ROWS_MAX);
    }
}
