//! Who wins: each commit of a batch against what is stored and against the winners before it.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::{NamespaceId, RunId, Shard, TaskId, WorkerId};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{Commit, CommitOutcome, Expected, RequestRecord, RunHead};
use fulcrum_core::task::{Fence, TaskState};
use uuid::Uuid;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) version: u64,
    pub(super) chain: ChainHash,
}

/// Who holds a task.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding {
    pub(super) state: TaskState,
    pub(super) lease_seq: u64,
    pub(super) lease_nonce: Option<Uuid>,
    pub(super) worker: Option<WorkerId>,
    pub(super) is_due: bool,
}

/// The scope of an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RunKey {
    pub(super) shard: Shard,
    pub(super) namespace: NamespaceId,
    pub(super) workflow: String,
    pub(super) key: String,
}

/// What earlier commits hold that this batch wants.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) requests: BTreeMap<(NamespaceId, RequestKey), RequestRecord>,
    pub(super) keys: BTreeMap<RunKey, RunId>,
}

impl RunKey {
    pub(super) fn of(head: &RunHead) -> Option<Self> {
        Some(Self {
            shard: head.shard,
            namespace: head.namespace,
            workflow: head.workflow.clone(),
            key: head.idempotency_key.clone()?,
        })
    }
}

impl Holding {
    fn fits(&self, fence: &Fence) -> bool {
        self.state == fence.state
            && self.lease_seq == fence.lease.seq
            && match fence.holder {
                Some(holder) => {
                    self.lease_nonce == Some(fence.lease.nonce) && self.worker == Some(holder)
                }
                None => self.is_due,
            }
    }
}

/// A repeated request is told so first, because its answer is stored; then the key, the version and the leases.
/// One commit per run and batch can win.
pub(super) fn judge(
    batch: &[Commit],
    runs: &BTreeMap<RunId, Standing>,
    tasks: &BTreeMap<TaskId, Holding>,
    mut taken: Taken,
) -> Vec<CommitOutcome> {
    let mut changed = BTreeSet::new();
    let mut outcomes = Vec::with_capacity(batch.len());
    for commit in batch {
        let outcome = if changed.contains(&commit.head.run) {
            repeated(commit, &taken).unwrap_or(CommitOutcome::Conflict)
        } else {
            judge_one(commit, runs, tasks, &taken)
        };
        if outcome == CommitOutcome::Committed {
            changed.insert(commit.head.run);
            for request in &commit.requests {
                taken
                    .requests
                    .entry((request.namespace, request.key.clone()))
                    .or_insert_with(|| request.clone());
            }
            if let (Expected::New, Some(key)) = (commit.expected, RunKey::of(&commit.head)) {
                taken.keys.insert(key, commit.head.run);
            }
        }
        outcomes.push(outcome);
    }
    outcomes
}

fn repeated(commit: &Commit, taken: &Taken) -> Option<CommitOutcome> {
    let mut stored = commit.requests.iter().filter_map(|request| {
        taken
            .requests
            .get(&(request.namespace, request.key.clone()))
    });
    if let Some(record) = stored.next() {
        return Some(CommitOutcome::Duplicate(record.clone()));
    }
    match commit.expected {
        Expected::New => {
            let holder = taken.keys.get(&RunKey::of(&commit.head)?)?;
            (*holder != commit.head.run).then_some(CommitOutcome::KeyTaken(*holder))
        }
        Expected::Version(_) => None,
    }
}

fn judge_one(
    commit: &Commit,
    runs: &BTreeMap<RunId, Standing>,
    tasks: &BTreeMap<TaskId, Holding>,
    taken: &Taken,
) -> CommitOutcome {
    if let Some(outcome) = repeated(commit, taken) {
        return outcome;
    }
    let standing = runs.get(&commit.head.run).copied();
    let fits = match commit.expected {
        Expected::New => standing.is_none(),
        Expected::Version(version) => {
            let chain = commit.before;
            standing == Some(Standing { version, chain })
        }
    };
    if !fits {
        return CommitOutcome::Conflict;
    }
    let lost: Vec<_> = commit
        .fences
        .iter()
        .filter(|fence| !holds(tasks, fence))
        .map(|fence| fence.lease)
        .collect();
    if lost.is_empty() {
        CommitOutcome::Committed
    } else {
        CommitOutcome::LeaseLost(lost)
    }
}

/// Is the fence's lease the one that stands?
pub(super) fn holds(tasks: &BTreeMap<TaskId, Holding>, fence: &Fence) -> bool {
    tasks
        .get(&fence.lease.task)
        .is_some_and(|holding| holding.fits(fence))
}
