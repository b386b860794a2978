//! The rows of a batch, in the order in which they are written and locked, and the fences that its rows carry.

use std::collections::BTreeMap;

use fulcrum_core::ids::{NamespaceId, RunId, Shard, TaskId};
use fulcrum_core::payload::NewPayload;
use fulcrum_core::store::{Commit, Expected, RequestRecord};
use fulcrum_core::task::{Fence, HandOff, NewTask, TaskOp};

use crate::audit;
use crate::blob::Inline;
use crate::timeline;
use crate::versions::FeatureLevel;

/// The rows of a batch, sorted, so that no two flushes wait for each other in a circle.
pub(super) struct Rows<'c> {
    pub(super) existing: Vec<(&'c Commit, u64)>,
    pub(super) new: Vec<&'c Commit>,
    pub(super) removed: Vec<(TaskId, Option<Fence>)>,
    pub(super) requests: Vec<&'c RequestRecord>,
    pub(super) events: Vec<timeline::Row<'c>>,
    pub(super) payloads: Vec<&'c NewPayload>,
    pub(super) made: Vec<(&'c NewTask, Option<&'c HandOff>)>,
    pub(super) snapshots: Vec<(&'c Commit, &'c [u8])>,
    /// What the batch leaves in the installation log.
    pub(super) leaf: Vec<u8>,
}

impl<'c> Rows<'c> {
    pub(super) fn of(commits: &[&'c Commit], level: FeatureLevel, inline: Inline) -> Self {
        let mut rows = Self {
            existing: Vec::new(),
            new: Vec::new(),
            removed: Vec::new(),
            requests: Vec::new(),
            events: Vec::new(),
            payloads: Vec::new(),
            made: Vec::new(),
            snapshots: Vec::new(),
            leaf: audit::leaf::of(commits),
        };
        // A commit may answer one request twice; the first answer stands.
        let mut requests: BTreeMap<(_, NamespaceId, &str), &RequestRecord> = BTreeMap::new();
        for commit in commits.iter().copied() {
            match commit.expected {
                Expected::Version(version) => rows.existing.push((commit, version)),
                Expected::New => rows.new.push(commit),
            }
            for record in &commit.requests {
                let key = (record.key.shard, record.namespace, record.key.id.as_str());
                requests.entry(key).or_insert(record);
            }
            let run = commit.head.run;
            rows.events
                .extend(timeline::rows(run, &commit.events, level));
            // Blobs went ahead.
            let small = |new: &&NewPayload| inline.holds(&new.reference);
            rows.payloads.extend(commit.payloads.iter().filter(small));
            let state = commit.snapshot.as_deref();
            rows.snapshots.extend(state.map(|state| (commit, state)));
            for op in &commit.tasks {
                match op {
                    TaskOp::Create(new) => rows.made.push((new, hand_off(commit, new.task))),
                    TaskOp::Remove { task } => rows.removed.push((*task, held(commit, *task))),
                    TaskOp::Release { .. } | TaskOp::Park { .. } | TaskOp::Resume { .. } => {}
                }
            }
        }
        rows.requests = requests.into_values().collect();
        rows.existing
            .sort_by_key(|(commit, _)| (commit.head.shard, commit.head.run));
        // By keys first: a new run waits for the holder of its key.
        rows.new.sort_by(|a, b| key_order(a).cmp(&key_order(b)));
        rows.removed.sort_by_key(|(task, _)| (task.shard(), *task));
        rows.made
            .sort_by_key(|(new, _)| (new.task.shard(), new.task));
        rows
    }
}

fn key_order(commit: &Commit) -> (Shard, NamespaceId, &str, Option<&str>, RunId) {
    let head = &commit.head;
    (
        head.shard,
        head.namespace,
        &head.workflow,
        head.idempotency_key.as_deref(),
        head.run,
    )
}

fn hand_off(commit: &Commit, task: TaskId) -> Option<&HandOff> {
    commit.hand_offs.iter().find(|hand| hand.task == task)
}

/// The fence by which a worker's report removes a task.
fn held(commit: &Commit, task: TaskId) -> Option<Fence> {
    let mut fences = commit.fences.iter();
    fences
        .find(|fence| fence.lease.task == task && fence.holder.is_some())
        .copied()
}

/// Fences that removing a task does not check by itself.
pub(super) fn other_fences(commit: &Commit) -> impl Iterator<Item = &Fence> {
    commit.fences.iter().filter(|fence| {
        let removes =
            |op: &TaskOp| matches!(op, TaskOp::Remove { task } if *task == fence.lease.task);
        fence.holder.is_none() || !commit.tasks.iter().any(removes)
    })
}

/// Does the commit make or remove a task that it fences otherwise? Once the rows are written there is nothing left to
/// look at: such a commit is judged first.
pub(super) fn hides_a_fence(commit: &Commit) -> bool {
    other_fences(commit).any(|fence| {
        commit.tasks.iter().any(|op| match op {
            TaskOp::Create(new) => new.task == fence.lease.task,
            TaskOp::Remove { task } => *task == fence.lease.task,
            TaskOp::Release { .. } | TaskOp::Park { .. } | TaskOp::Resume { .. } => false,
        })
    })
}
