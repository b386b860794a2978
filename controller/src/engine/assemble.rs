//! From several decisions of one run to one version step.

use fulcrum_core::decide::Decision;
use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::{CommitId, PayloadId, TaskId};
use fulcrum_core::payload::NewPayload;
use fulcrum_core::run::Run;
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{Commit, Expected, RequestRecord, RunHead, SnapshotMark, StoredEvent};
use fulcrum_core::time::Timestamp;

use super::item::PendingRequest;

/// Decisions of one run, merged, with the request ids that they answer.
#[derive(Debug, Default)]
pub struct Merged {
    decision: Option<Decision>,
    requests: Vec<RequestRecord>,
}

impl Merged {
    /// Adds a decision after those added before. `run` is the run after it.
    pub fn add(
        &mut self,
        decision: Decision,
        now: Timestamp,
        run: &Run,
        request: Option<&PendingRequest>,
    ) {
        match &mut self.decision {
            Some(earlier) => earlier.absorb(decision, now, run),
            None => self.decision = Some(decision),
        }
        if let Some(request) = request {
            self.requests.push(RequestRecord {
                namespace: request.namespace,
                key: request.key.clone(),
                digest: request.digest,
                run: run.id,
                answer: Vec::new(),
            });
        }
    }

    /// Has a decision been added that depends on this task's lease?
    #[must_use]
    pub fn fences(&self, task: TaskId) -> bool {
        self.decision.as_ref().is_some_and(|decision| {
            let mut fences = decision.fences.iter();
            fences.any(|fence| fence.lease.task == task)
                || decision.tasks.iter().any(|op| op.task() == task)
        })
    }

    /// Has a decision been added that answers this request?
    #[must_use]
    pub fn answers(&self, key: &RequestKey) -> bool {
        self.requests.iter().any(|record| record.key == *key)
    }

    /// A payload among those about to be stored.
    #[must_use]
    pub fn payload(&self, id: PayloadId) -> Option<&NewPayload> {
        let mut payloads = self.decision.as_ref()?.payloads.iter();
        payloads.find(|new| new.reference.id == id)
    }

    /// The commit: `run` is the state after all decisions, `before` the row they were made on and its newest snapshot.
    #[must_use]
    pub fn into_commit(
        self,
        id: CommitId,
        run: &Run,
        before: Option<(&RunHead, SnapshotMark)>,
        snapshot_every_events: u64,
    ) -> Commit {
        let decision = self.decision.unwrap_or_default();
        let mut chain = before.map_or_else(ChainHash::default, |(head, _)| head.chain);
        let events = decision.events.iter().map(|envelope| {
            let event = StoredEvent::seal(run.id, envelope, chain);
            chain = event.hash;
            event
        });
        let events: Vec<StoredEvent> = events.collect();
        let mark = before.map_or_else(SnapshotMark::default, |(_, mark)| mark);
        let snapshot = mark
            .is_behind(run.last_seq, snapshot_every_events)
            .then(|| run.to_bytes());
        Commit {
            id,
            expected: before.map_or(Expected::New, |(head, _)| Expected::Version(head.version)),
            before: before.map_or_else(ChainHash::default, |(head, _)| head.chain),
            head: RunHead {
                run: run.id,
                namespace: run.origin.namespace,
                shard: run.id.shard(),
                root: run.origin.root,
                parent: run.origin.parent.as_ref().map(|parent| parent.run),
                workflow: run.origin.workflow.clone(),
                definition: run.origin.definition,
                status: run.status,
                version: before.map_or(1, |(head, _)| head.version + 1),
                last_seq: run.last_seq,
                chain,
                started_at: run.started_at,
                closed_at: run.closed_at,
                idempotency_key: run.origin.idempotency_key.clone(),
            },
            events,
            snapshot,
            payloads: decision.payloads,
            fences: decision.fences,
            tasks: decision.tasks,
            hand_offs: Vec::new(),
            timers: decision.timers,
            mail: decision.mail,
            consumed: decision.consumed,
            joins: decision.joins,
            reviews: decision.reviews,
            requests: self.requests,
        }
    }
}
