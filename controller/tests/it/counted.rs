//! A store that keeps count of what is asked of it, and that can be made to wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_core::decide::JoinOutputs;
use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::{MailId, NamespaceId, PayloadId, RunId, TimerId};
use fulcrum_core::payload::{NewPayload, PayloadRef};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::reference::ReferenceStore;
use fulcrum_core::store::{
    Beat, BeatOutcome, ClaimRequest, Commit, DueTimer, FlushReport, Found, GrantedTask, JoinKey,
    Loaded, RequestRecord, RunHead, Since, Sought, Store, StoreError, Sweep, SweepKey,
};
use fulcrum_core::task::TaskRow;
use fulcrum_core::time::{Millis, Timestamp};
use tokio::sync::Semaphore;

use crate::engine::living_store;

/// A store that keeps count.
pub(crate) struct Counted {
    inner: Arc<ReferenceStore>,
    counts: Mutex<Counts>,
    /// A commit goes through for each permit.
    gate: Semaphore,
    /// Nothing can be read.
    cut: AtomicBool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Counts {
    /// How many commits each flush carried.
    pub(crate) flushes: Vec<usize>,
    /// Runs that were looked for one by one or together.
    pub(crate) loads: usize,
    pub(crate) commits: BTreeMap<RunId, usize>,
    pub(crate) snapshot_bytes: usize,
    pub(crate) reads: BTreeMap<PayloadId, usize>,
}

impl Counted {
    /// Every flush goes through.
    pub(crate) fn open() -> Arc<Self> {
        Self::with(Semaphore::MAX_PERMITS)
    }

    /// Flushes wait until they are let through.
    pub(crate) fn shut() -> Arc<Self> {
        Self::with(0)
    }

    fn with(permits: usize) -> Arc<Self> {
        Arc::new(Self {
            inner: living_store(),
            counts: Mutex::default(),
            gate: Semaphore::new(permits),
            cut: AtomicBool::new(false),
        })
    }

    /// Lets so many more flushes through.
    pub(crate) fn let_through(&self, flushes: usize) {
        self.gate.add_permits(flushes);
    }

    /// From now on, flushes wait until they are let through.
    pub(crate) fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// Runs can be read no more, or again.
    pub(crate) fn cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    fn note(&self, note: impl FnOnce(&mut Counts)) {
        note(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Store for Counted {
    async fn flush(
        &self,
        batch: impl Into<Arc<[Commit]>> + Send,
    ) -> Result<FlushReport, StoreError> {
        let batch: Arc<[Commit]> = batch.into();
        self.note(|counts| {
            counts.flushes.push(batch.len());
            for commit in batch.iter() {
                *counts.commits.entry(commit.head.run).or_default() += 1;
                counts.snapshot_bytes += commit.snapshot.as_ref().map_or(0, Vec::len);
            }
        });
        if let Ok(permit) = self.gate.acquire().await {
            permit.forget();
        }
        self.inner.flush(batch).await
    }

    async fn load(&self, runs: &[RunId], since: Since) -> Result<Vec<Loaded>, StoreError> {
        self.note(|counts| counts.loads += 1);
        if self.cut.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it is cut off".to_owned()));
        }
        self.inner.load(runs, since).await
    }

    async fn heads(&self, runs: &[RunId]) -> Result<Vec<RunHead>, StoreError> {
        self.inner.heads(runs).await
    }

    async fn payloads(&self, refs: &[PayloadRef]) -> Result<Vec<NewPayload>, StoreError> {
        self.note(|counts| {
            for reference in refs {
                *counts.reads.entry(reference.id).or_default() += 1;
            }
        });
        self.inner.payloads(refs).await
    }

    async fn join_outputs(&self, join: &JoinKey) -> Result<JoinOutputs, StoreError> {
        self.inner.join_outputs(join).await
    }

    async fn claim(
        &self,
        requests: &[ClaimRequest],
        lease: Millis,
    ) -> Result<Vec<GrantedTask>, StoreError> {
        self.inner.claim(requests, lease).await
    }

    async fn heartbeat(
        &self,
        beats: &[Beat],
        lease: Millis,
    ) -> Result<Vec<BeatOutcome>, StoreError> {
        self.inner.heartbeat(beats, lease).await
    }

    async fn give_back(&self, grants: &[Beat], rest: Millis) -> Result<(), StoreError> {
        self.inner.give_back(grants, rest).await
    }

    async fn due_tasks(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<TaskRow>, StoreError> {
        self.inner.due_tasks(after, limit).await
    }

    async fn due_timers(
        &self,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<DueTimer>, StoreError> {
        self.inner.due_timers(after, limit).await
    }

    async fn pending_mail(
        &self,
        older_than: Millis,
        after: Option<SweepKey>,
        limit: u32,
    ) -> Result<Sweep<Mail>, StoreError> {
        // The backstop sweeps every 20 ms here, and would deliver what is on its way.
        let older_than = older_than.max(Millis::from_secs(60));
        self.inner.pending_mail(older_than, after, limit).await
    }

    async fn discard_mail(&self, mail: &[MailId]) -> Result<(), StoreError> {
        self.inner.discard_mail(mail).await
    }

    async fn discard_timers(&self, timers: &[TimerId]) -> Result<(), StoreError> {
        self.inner.discard_timers(timers).await
    }

    async fn request(
        &self,
        namespace: NamespaceId,
        request: &RequestKey,
    ) -> Result<Option<RequestRecord>, StoreError> {
        self.inner.request(namespace, request).await
    }

    async fn tick(&self, sought: &Sought) -> Result<Found, StoreError> {
        self.inner.tick(sought).await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.inner.now().await
    }
}
