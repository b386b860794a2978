//! From several decisions of one run to one version step.

use std::collections::BTreeMap;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::decide::Decision;
use fulcrum_core::event::{ChainHash, Envelope};
use fulcrum_core::ids::{CommitId, MailId, ReviewId, TaskId, TimerId};
use fulcrum_core::payload::NewPayload;
use fulcrum_core::run::Run;
use fulcrum_core::store::{Commit, Expected, JoinOp, RequestRecord, ReviewOp, RunHead, StoredEvent, TimerOp};
use fulcrum_core::task::{Fence, TaskOp};

use super::item::PendingRequest;

/// Decisions of one run, merged: one op per task, timer and review.
#[derive(Debug, Default)]
pub struct Merged {
    events: Vec<Envelope>,
    payloads: Vec<NewPayload>,
    fences: Vec<Fence>,
    tasks: BTreeMap<TaskId, TaskOp>,
    timers: BTreeMap<TimerId, TimerOp>,
    mail: Vec<Mail>,
    consumed: Vec<MailId>,
    joins: Vec<JoinOp>,
    reviews: BTreeMap<ReviewId, ReviewOp>,
    requests: Vec<RequestRecord>,
}

impl Merged {
    /// Adds a decision after those added before.
    pub fn add(&mut self, decision: Decision, request: Option<(&PendingRequest, &Run)>) {
        self.events.extend(decision.events);
        self.payloads.extend(decision.payloads);
        self.fences.extend(decision.fences);
        self.mail.extend(decision.mail);
        self.consumed.extend(decision.consumed);
        self.joins.extend(decision.joins);
        for op in decision.tasks {
            self.add_task(op);
        }
        for op in decision.timers {
            let timer = match &op {
                TimerOp::Set { timer, .. } | TimerOp::Clear { timer } => *timer,
            };
            self.timers.insert(timer, op);
        }
        for op in decision.reviews {
            self.add_review(op);
        }
        if let Some((request, run)) = request {
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
        self.fences.iter().any(|fence| fence.lease.task == task) || self.tasks.contains_key(&task)
    }

    /// A payload among those about to be stored.
    #[must_use]
    pub fn payload(&self, id: fulcrum_core::ids::PayloadId) -> Option<&NewPayload> {
        self.payloads.iter().find(|p| p.reference.id == id)
    }

    /// Mail that the commit writes.
    #[must_use]
    pub fn mail(&self) -> &[Mail] {
        &self.mail
    }

    /// Tasks that the commit makes ready.
    pub fn ready_tasks(&self) -> impl Iterator<Item = &TaskOp> {
        self.tasks.values().filter(|op| match op {
            TaskOp::Create(_) | TaskOp::Release { .. } | TaskOp::Resume { .. } => true,
            TaskOp::Park { .. } | TaskOp::Remove { .. } => false,
        })
    }

    /// Is there anything to commit?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.consumed.is_empty() && self.fences.is_empty() && self.tasks.is_empty()
    }

    /// The commit: `run` is the state after all decisions, `before` the row they were made on.
    #[must_use]
    pub fn commit(
        &self,
        id: CommitId,
        run: &Run,
        before: Option<(&RunHead, u64)>,
        snapshot_every_events: u64,
    ) -> Commit {
        let mut chain = before.map_or_else(ChainHash::default, |(head, _)| head.chain);
        let events: Vec<StoredEvent> = self
            .events
            .iter()
            .map(|envelope| {
                let event = StoredEvent::seal(run.id, envelope, chain);
                chain = event.hash;
                event
            })
            .collect();
        let snapshot_seq = before.map_or(0, |(_, seq)| seq);
        let snapshot = (run.last_seq - snapshot_seq >= snapshot_every_events)
            .then(|| run.to_bytes());
        Commit {
            id,
            expected: before.map_or(Expected::New, |(head, _)| Expected::Version(head.version)),
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
            payloads: self.payloads.clone(),
            fences: self.fences.clone(),
            tasks: self.tasks.values().cloned().collect(),
            timers: self.timers.values().cloned().collect(),
            mail: self.mail.clone(),
            consumed: self.consumed.clone(),
            joins: self.joins.clone(),
            reviews: self.reviews.values().cloned().collect(),
            requests: self.requests.clone(),
        }
    }

    /// Gives up the payloads, for the cache.
    #[must_use]
    pub fn into_payloads(self) -> Vec<NewPayload> {
        self.payloads
    }

    fn add_task(&mut self, op: TaskOp) {
        let task = op.task();
        let never_offered = matches!(self.tasks.get(&task), Some(TaskOp::Create(_)));
        match op {
            TaskOp::Remove { .. } if never_offered => {
                self.tasks.remove(&task);
            }
            op @ (TaskOp::Create(_)
            | TaskOp::Release { .. }
            | TaskOp::Park { .. }
            | TaskOp::Resume { .. }
            | TaskOp::Remove { .. }) => {
                self.tasks.insert(task, op);
            }
        }
    }

    fn add_review(&mut self, op: ReviewOp) {
        let review = op.review();
        let never_asked = matches!(self.reviews.get(&review), Some(ReviewOp::Open(_)));
        match op {
            ReviewOp::Close { .. } if never_asked => {
                self.reviews.remove(&review);
            }
            op @ (ReviewOp::Open(_) | ReviewOp::Close { .. } | ReviewOp::Escalate { .. }) => {
                self.reviews.insert(review, op);
            }
        }
    }
}
