//! Committing: judge each commit in order, apply the winners one after the other.

use std::collections::BTreeSet;

use super::{IdempotencyKey, State, StoredRun};
use crate::decide::command::Mail;
use crate::ids::RunId;
use crate::store::commit::{Commit, CommitOutcome, Expected, FlushReport, Snapshot};
use crate::store::join::{JoinBatch, Teller};
use crate::store::ops::{DueTimer, JoinKey, JoinOp, ReviewOp, TimerOp};
use crate::task::Fence;

impl State {
    pub(super) fn flush(&mut self, batch: &[Commit]) -> FlushReport {
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut joins = Vec::new();
        let mut granted = Vec::new();
        let mut changed = BTreeSet::new();
        for commit in batch {
            let outcome = self.judge(commit, &changed);
            if outcome == CommitOutcome::Committed {
                changed.insert(commit.head.run);
                let teller = Teller::of(commit);
                joins.extend(commit.joins.iter().map(|op| (teller, op.clone())));
                self.apply(commit.clone());
                let hand_offs = commit.hand_offs.iter();
                granted.extend(hand_offs.filter_map(|hand| self.hand_off(hand)));
            }
            outcomes.push(outcome);
        }
        let join_mail = self.apply_joins(joins);
        FlushReport {
            now: self.now,
            outcomes,
            join_mail,
            granted,
        }
    }

    /// A repeated request is told so first, because its answer is stored; then the key, the version and the leases.
    fn judge(&self, commit: &Commit, changed: &BTreeSet<RunId>) -> CommitOutcome {
        for request in &commit.requests {
            if let Some(record) = self.requests.get(&(request.namespace, request.key.clone())) {
                return CommitOutcome::Duplicate(record.clone());
            }
        }
        if let Some(holder) = key_of(commit).and_then(|key| self.keys.get(&key))
            && *holder != commit.head.run
        {
            return CommitOutcome::KeyTaken(*holder);
        }
        let stored = self.runs.get(&commit.head.run);
        let stands = stored.map(|stored| (stored.head.version, stored.head.chain));
        let fits = match commit.expected {
            Expected::New => stands.is_none(),
            Expected::Version(expected) => stands == Some((expected, commit.before)),
        };
        if !fits || changed.contains(&commit.head.run) {
            return CommitOutcome::Conflict;
        }
        let lost: Vec<_> = commit
            .fences
            .iter()
            .filter(|fence| !self.holds(fence))
            .map(|fence| fence.lease)
            .collect();
        if lost.is_empty() {
            CommitOutcome::Committed
        } else {
            CommitOutcome::LeaseLost(lost)
        }
    }

    fn holds(&self, fence: &Fence) -> bool {
        self.tasks.get(&fence.lease.task).is_some_and(|task| {
            task.state == fence.state
                && task.lease_seq == fence.lease.seq
                && match fence.holder {
                    Some(holder) => {
                        task.lease_nonce == Some(fence.lease.nonce) && task.worker == Some(holder)
                    }
                    None => task.is_due(self.now),
                }
        })
    }

    fn apply(&mut self, commit: Commit) {
        let run = commit.head.run;
        if let Some(key) = key_of(&commit) {
            self.keys.insert(key, run);
        }
        for request in commit.requests {
            self.requests
                .entry((request.namespace, request.key.clone()))
                .or_insert(request);
        }
        for new in commit.payloads {
            self.payloads
                .entry(new.reference.id)
                .or_insert((new.reference.hash, new.payload));
        }
        for op in commit.tasks {
            self.change_task(op);
        }
        for op in commit.timers {
            match op {
                TimerOp::Set {
                    timer,
                    run,
                    root,
                    step,
                    purpose,
                    at,
                } => {
                    self.timers.insert(
                        timer,
                        DueTimer {
                            timer,
                            run,
                            root,
                            step,
                            purpose,
                            at,
                        },
                    );
                }
                TimerOp::Clear { timer } => {
                    self.timers.remove(&timer);
                }
            }
        }
        for op in commit.reviews {
            match op {
                ReviewOp::Open(row) => {
                    self.reviews.entry(row.review).or_insert(row);
                }
                ReviewOp::Close { review } => {
                    self.reviews.remove(&review);
                }
                ReviewOp::Escalate { .. } => {}
            }
        }
        for id in commit.consumed {
            if self.mail.get(&id).is_some_and(|(_, mail)| mail.to == run) {
                self.mail.remove(&id);
            }
        }
        for mail in commit.mail {
            self.mail.entry(mail.id).or_insert((self.now, mail));
        }
        let snapshot = commit.snapshot.map(|state| Snapshot {
            seq: commit.head.last_seq,
            chain: commit.head.chain,
            state,
        });
        match self.runs.get_mut(&run) {
            Some(stored) => {
                stored.head.status = commit.head.status;
                stored.head.version = commit.head.version;
                stored.head.last_seq = commit.head.last_seq;
                stored.head.chain = commit.head.chain;
                stored.head.closed_at = commit.head.closed_at;
                stored.commit = commit.id;
                stored.events.extend(commit.events);
                if snapshot.is_some() {
                    stored.snapshot = snapshot;
                }
            }
            None => {
                let fresh = StoredRun {
                    head: commit.head,
                    commit: commit.id,
                    events: commit.events,
                    snapshot,
                };
                self.runs.insert(run, fresh);
            }
        }
    }

    fn apply_joins(&mut self, ops: Vec<(Teller, JoinOp)>) -> Vec<Mail> {
        let mut batch = JoinBatch::default();
        let touched: BTreeSet<JoinKey> = ops.iter().map(|(_, op)| op.key().clone()).collect();
        for key in touched {
            if let Some((state, items)) = self.joins.get(&key) {
                batch.states.insert(key.clone(), *state);
                batch
                    .known
                    .extend(items.keys().map(|index| (key.clone(), *index)));
            }
        }
        for (teller, op) in ops {
            batch.apply(teller, op);
        }
        let told = batch.announce();
        for mail in &told {
            self.mail.entry(mail.id).or_insert((self.now, mail.clone()));
        }
        for key in batch.closed {
            self.joins.remove(&key);
        }
        for (key, state) in batch.states {
            self.joins
                .entry(key)
                .or_insert((state, Default::default()))
                .0 = state;
        }
        for ((key, index), item) in batch.items {
            if let Some((_, items)) = self.joins.get_mut(&key) {
                items.insert(index, item);
            }
        }
        told
    }
}

fn key_of(commit: &Commit) -> Option<IdempotencyKey> {
    match (commit.expected, &commit.head.idempotency_key) {
        (Expected::New, Some(key)) => Some(IdempotencyKey {
            shard: commit.head.shard,
            namespace: commit.head.namespace,
            workflow: commit.head.workflow.clone(),
            key: key.clone(),
        }),
        (Expected::New, None) | (Expected::Version(_), _) => None,
    }
}
