//! The store's executable meaning, in memory: what every call does, without a database in the way.
//!
//! Deterministic: a manual clock ([`ReferenceStore::advance`]), unless it is given one that goes by itself, and counted
//! nonces. It holds everything under one mutex; no call waits for anything, so its futures are ready at once.

mod flush;
pub mod looking;
mod tasks;
mod tick;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::decide::JoinOutputs;
use crate::decide::command::Mail;
use crate::decide::decision::JoinItem;
use crate::ids::{
    CommitId, MailId, NamespaceId, PayloadId, ReviewId, RunId, Shard, TaskId, TimerId,
};
use crate::payload::{NewPayload, Payload, PayloadRef};
use crate::store::commit::{
    Commit, LoadedRun, RequestKey, RequestRecord, RunHead, Snapshot, StoredEvent,
};
use crate::store::join::JoinState;
use crate::store::ops::{
    Beat, BeatOutcome, ClaimRequest, DueTimer, GrantedTask, JoinKey, ReviewRow, nonce_from,
};
use crate::store::{FlushReport, Found, Loaded, Since, Sought, Store, StoreError, Sweep, SweepKey};
use crate::task::{NewTask, TaskRow, TaskState};
use crate::time::{Millis, Timestamp};

/// An in-memory [`Store`].
#[derive(Debug)]
pub struct ReferenceStore {
    state: Mutex<State>,
    clock: Clock,
}

/// What moves the store's time.
enum Clock {
    /// Whoever holds the store.
    Hand,
    /// A clock that goes by itself.
    Source(Box<dyn Fn() -> Timestamp + Send + Sync>),
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hand => "Hand",
            Self::Source(_) => "Source",
        })
    }
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    nonces: u64,
    runs: BTreeMap<RunId, StoredRun>,
    keys: BTreeMap<IdempotencyKey, RunId>,
    payloads: BTreeMap<PayloadId, ([u8; 32], Payload)>,
    tasks: BTreeMap<TaskId, StoredTask>,
    timers: BTreeMap<TimerId, DueTimer>,
    mail: BTreeMap<MailId, (Timestamp, Mail)>,
    joins: BTreeMap<JoinKey, (JoinState, BTreeMap<u32, JoinItem>)>,
    reviews: BTreeMap<ReviewId, ReviewRow>,
    requests: BTreeMap<(NamespaceId, RequestKey), RequestRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct IdempotencyKey {
    shard: Shard,
    namespace: NamespaceId,
    workflow: String,
    key: String,
}

#[derive(Debug)]
struct StoredRun {
    head: RunHead,
    commit: CommitId,
    events: Vec<StoredEvent>,
    snapshot: Option<Snapshot>,
}

#[derive(Debug)]
struct StoredTask {
    new: NewTask,
    state: TaskState,
    crash_count: u16,
    close_left: Option<Millis>,
    lease_seq: u64,
    lease_nonce: Option<Uuid>,
    worker: Option<crate::ids::WorkerId>,
    granted_at: Option<Timestamp>,
    lease_until: Timestamp,
    close_by: Option<Timestamp>,
}

impl ReferenceStore {
    /// An empty store whose clock stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: Mutex::new(State {
                now,
                ..State::default()
            }),
            clock: Clock::Hand,
        }
    }

    /// An empty store that asks `clock` for the time at each call.
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self {
            state: Mutex::default(),
            clock: Clock::Source(Box::new(clock)),
        }
    }

    /// Moves the manual clock.
    pub fn advance(&self, span: Millis) {
        let mut state = self.lock();
        state.now = state.now.plus(span);
    }

    /// Open reviews, for tests that compare inboxes.
    #[must_use]
    pub fn open_reviews(&self) -> Vec<ReviewRow> {
        self.lock().reviews.values().cloned().collect()
    }

    /// Every event of a run, for tests that fold them.
    #[must_use]
    pub fn timeline(&self, run: RunId) -> Vec<StoredEvent> {
        self.lock()
            .runs
            .get(&run)
            .map(|stored| stored.events.clone())
            .unwrap_or_default()
    }

    /// No call leaves the state half-changed, so a panic elsewhere does not make it unfit for use.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Clock::Source(clock) = &self.clock {
            state.now = clock();
        }
        state
    }
}

impl State {
    fn nonce(&mut self) -> Uuid {
        self.nonces += 1;
        nonce_from(self.nonces)
    }

    fn load(&self, run: RunId, since: Since) -> Option<LoadedRun> {
        let stored = self.runs.get(&run)?;
        let snapshot = match since {
            Since::Snapshot => stored.snapshot.clone(),
            Since::Birth => None,
        };
        let after = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        Some(LoadedRun {
            head: stored.head.clone(),
            snapshot,
            events: stored
                .events
                .iter()
                .filter(|event| event.seq > after)
                .cloned()
                .collect(),
            commit: stored.commit,
        })
    }

    fn payload(&self, reference: PayloadRef) -> Result<NewPayload, StoreError> {
        let corrupt = |problem: &str| StoreError::CorruptPayload {
            payload: reference.id,
            problem: problem.to_owned(),
        };
        let (hash, payload) = self
            .payloads
            .get(&reference.id)
            .ok_or_else(|| corrupt("it is missing"))?;
        if *hash != reference.hash || payload.hash() != reference.hash {
            return Err(corrupt(
                "its bytes do not match the hash under which it is referred to",
            ));
        }
        Ok(NewPayload::new(reference, payload.clone()))
    }
}

/// Rows as a sweep meets them.
fn in_order<T>(rows: impl Iterator<Item = (Timestamp, Uuid, T)>) -> BTreeMap<SweepKey, T> {
    rows.map(|(at, id, row)| (SweepKey { at, id }, row))
        .collect()
}

impl Store for ReferenceStore {
    async fn flush(
        &self,
        batch: impl Into<Arc<[Commit]>> + Send,
    ) -> Result<FlushReport, StoreError> {
        Ok(self.lock().flush(&batch.into()))
    }

    async fn load(&self, runs: &[RunId], since: Since) -> Result<Vec<Loaded>, StoreError> {
        let state = self.lock();
        Ok(runs.iter().map(|run| Ok(state.load(*run, since))).collect())
    }

    async fn heads(&self, runs: &[RunId]) -> Result<Vec<RunHead>, StoreError> {
        let state = self.lock();
        Ok(runs
            .iter()
            .filter_map(|run| state.runs.get(run))
            .map(|stored| stored.head.clone())
            .collect())
    }

    async fn payloads(&self, refs: &[PayloadRef]) -> Result<Vec<NewPayload>, StoreError> {
        let state = self.lock();
        refs.iter()
            .map(|reference| state.payload(*reference))
            .collect()
    }

    async fn join_outputs(&self, join: &JoinKey) -> Result<JoinOutputs, StoreError> {
        let state = self.lock();
        let items = state
            .joins
            .get(join)
            .map(|(_, items)| items.values().cloned().collect())
            .unwrap_or_default();
        Ok(JoinOutputs { items })
    }

    async fn claim(
        &self,
        requests: &[ClaimRequest],
        lease: Millis,
    ) -> Result<Vec<GrantedTask>, StoreError> {
        Ok(self.lock().claim(requests, lease))
    }

    async fn heartbeat(
        &self,
        beats: &[Beat],
        lease: Millis,
    ) -> Result<Vec<BeatOutcome>, StoreError> {
        let mut state = self.lock();
        Ok(beats.iter().map(|beat| state.beat(*beat, lease)).collect())
    }

    async fn give_back(&self, grants: &[Beat], rest: Millis) -> Result<(), StoreError> {
        let mut state = self.lock();
        for grant in grants {
            state.give_back(*grant, rest);
        }
        Ok(())
    }

    async fn due_tasks(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<TaskRow>, StoreError> {
        Ok(Sweep::page(self.lock().due_tasks(), after, limit))
    }

    async fn due_timers(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<DueTimer>, StoreError> {
        let state = self.lock();
        let due = state.timers.values().filter(|timer| timer.at <= state.now);
        let due = in_order(due.map(|timer| (timer.at, timer.timer.0, timer.clone())));
        Ok(Sweep::page(due, after, limit))
    }

    async fn pending_mail(
        &self,
        older_than: Millis,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<Mail>, StoreError> {
        let state = self.lock();
        let old = |(sent, _): &&(Timestamp, Mail)| sent.plus(older_than) <= state.now;
        let pending = state.mail.values().filter(old);
        let pending = in_order(pending.map(|(sent, mail)| (*sent, mail.id.0, mail.clone())));
        Ok(Sweep::page(pending, after, limit))
    }

    async fn discard_mail(&self, mail: &[MailId]) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.mail.retain(|id, _| !mail.contains(id));
        Ok(())
    }

    async fn discard_timers(&self, timers: &[TimerId]) -> Result<(), StoreError> {
        let mut state = self.lock();
        state.timers.retain(|id, _| !timers.contains(id));
        Ok(())
    }

    async fn request(
        &self,
        namespace: NamespaceId,
        request: &RequestKey,
    ) -> Result<Option<RequestRecord>, StoreError> {
        Ok(self
            .lock()
            .requests
            .get(&(namespace, request.clone()))
            .cloned())
    }

    async fn tick(&self, sought: &Sought) -> Result<Found, StoreError> {
        Ok(self.lock().tick(sought))
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.lock().now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_store_knows_no_run() {
        let store = ReferenceStore::new(Timestamp::from_millis(5));
        let run = RunId::new(Timestamp::from_millis(1), Shard(0), 1);
        assert!(store.lock().load(run, Since::Snapshot).is_none());
        store.advance(Millis(2));
        assert_eq!(store.lock().now, Timestamp::from_millis(7));
    }
}
