//! What an item of a fan-out costs, in commits, reads and bytes: whatever there is of each per item, there must not be
//! more of it the more items there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_core::decide::JoinOutputs;
use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::{MailId, NamespaceId, PayloadId, RunId, TimerId};
use fulcrum_core::payload::{NewPayload, PayloadRef};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::reference::ReferenceStore;
use fulcrum_core::store::{
    Beat, BeatOutcome, ClaimRequest, Commit, DueTimer, FlushReport, Found, GrantedTask, JoinKey,
    Loaded, RequestRecord, RunHead, RunStatus, Since, Sought, Store, StoreError, Sweep, SweepKey,
};
use fulcrum_core::task::TaskRow;
use fulcrum_core::time::{Millis, Timestamp};
use serde_json::{Value, json};

use crate::engine::{NAMESPACE, World, living_store, world_on};

/// A store that keeps count.
struct Counted {
    inner: Arc<ReferenceStore>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Clone, Default)]
struct Counts {
    flushes: usize,
    /// Runs that were looked for one by one or together.
    loads: usize,
    commits: BTreeMap<RunId, usize>,
    snapshot_bytes: usize,
    reads: BTreeMap<PayloadId, usize>,
}

impl Counted {
    fn note(&self, note: impl FnOnce(&mut Counts)) {
        note(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn counts(&self) -> Counts {
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
            counts.flushes += 1;
            for commit in batch.iter() {
                *counts.commits.entry(commit.head.run).or_default() += 1;
                counts.snapshot_bytes += commit.snapshot.as_ref().map_or(0, Vec::len);
            }
        });
        self.inner.flush(batch).await
    }

    async fn load(&self, runs: &[RunId], since: Since) -> Result<Vec<Loaded>, StoreError> {
        self.note(|counts| counts.loads += 1);
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

    async fn give_back(&self, grants: &[Beat]) -> Result<(), StoreError> {
        self.inner.give_back(grants).await
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

/// Every item reads the run's input, which holds all items.
fn source(limit: &str) -> String {
    format!(
        "workflow: fan
steps:
  - id: each
    foreach: \"${{input.items}}\"{limit}
    do:
      - {{ id: one, call: test.echo, with: {{ n: \"${{item}}\", text: \"${{input.text}}\" }} }}
    output: \"${{steps.one.output.n}}\"
output: \"${{steps.each.output}}\"
"
    )
}

/// Runs a fan-out to its end, with a worker of 64 slots.
async fn fan_out(items: u32, limit: &str) -> (World<Counted>, RunId) {
    let counted = Counted {
        inner: living_store(),
        counts: Mutex::default(),
    };
    let world = world_on(Arc::new(counted), &[&source(limit)]);
    let list: Vec<u32> = (0..items).collect();
    let input = json!({ "items": list, "text": "x" });
    let run = world
        .start("fan", input, None)
        .await
        .expect("started")
        .run();
    let mut served = 0;
    while served < items {
        let granted = world.lease("test.echo", 64).await;
        let done = granted.iter().map(async |delivery| {
            let input = delivery.input.to_value().expect("JSON");
            world.complete(delivery, input).await.expect("accepted");
        });
        served += u32::try_from(futures_util::future::join_all(done).await.len()).expect("few");
    }
    let expected: Value = json!(list);
    assert_eq!(world.closed(run).await, (RunStatus::Completed, expected));
    (world, run)
}

#[tokio::test]
async fn an_item_costs_the_same_however_many_there_are() {
    let items = 2_000;
    let (world, root) = fan_out(items, "").await;
    let counts = world.engine.store.counts();
    let again = counts.commits.values().filter(|commits| **commits > 2);
    assert!(
        again.count() <= 1,
        "a child starts and reports, and that is all"
    );
    assert!(counts.flushes < 500, "{} flushes", counts.flushes);
    assert!(counts.loads < 50, "{} loads", counts.loads);
    let most = counts.reads.values().max().copied().unwrap_or(0);
    assert!(most <= 3, "a payload was read {most} times");

    let (run, _) = world.engine.run(NAMESPACE, root).await.expect("the run");
    let commits = counts.commits[&root];
    assert!(commits < 40, "the parent took {commits} commits");
    assert!(run.last_seq < 60, "the parent has {} events", run.last_seq);
    let state = run.to_bytes().len();
    assert!(state < 2_000, "the parent's state takes {state} bytes");
    assert!(counts.snapshot_bytes < 8_000, "{}", counts.snapshot_bytes);
    world.end().await;
}

#[tokio::test]
async fn a_parent_hears_of_free_places_once_a_flush() {
    let items = 1_000;
    let (world, root) = fan_out(items, "\n    max_parallel: 64").await;
    let counts = world.engine.store.counts();
    let commits = counts.commits[&root];
    assert!(commits < 150, "the parent took {commits} commits");
    assert!(
        counts.snapshot_bytes < 40_000,
        "{} bytes of snapshots",
        counts.snapshot_bytes
    );
    world.end().await;
}
