//! Tasks and leases in memory.

use std::collections::BTreeMap;

use super::{State, StoredTask, in_order};
use crate::store::claim::{Candidate, assign};
use crate::store::ops::{Beat, BeatOutcome, ClaimRequest, GrantedTask};
use crate::store::sweep::SweepKey;
use crate::task::{Due, HandOff, Lease, TaskOp, TaskRow, TaskState};
use crate::time::{Millis, Timestamp};

impl State {
    pub(super) fn change_task(&mut self, op: TaskOp) {
        let now = self.now;
        match op {
            TaskOp::Create(new) => {
                let before = self.tasks.remove(&new.task);
                let close_left = new.start_to_close;
                let fresh = StoredTask {
                    state: TaskState::Ready,
                    crash_count: 0,
                    close_left,
                    lease_seq: before.as_ref().map_or(0, |task| task.lease_seq),
                    lease_nonce: before.as_ref().and_then(|task| task.lease_nonce),
                    worker: before.as_ref().and_then(|task| task.worker),
                    granted_at: before.as_ref().and_then(|task| task.granted_at),
                    lease_until: now,
                    close_by: None,
                    new,
                };
                self.tasks.insert(fresh.new.task, fresh);
            }
            TaskOp::Release {
                task,
                ready_at,
                attempt,
                crash_count,
            } => {
                if let Some(task) = self.tasks.get_mut(&task) {
                    task.state = TaskState::Ready;
                    task.new.ready_at = ready_at;
                    task.new.attempt = attempt;
                    task.crash_count = crash_count;
                    task.close_left = task.new.start_to_close;
                    task.close_by = None;
                }
            }
            TaskOp::Park { task } => {
                if let Some(task) = self
                    .tasks
                    .get_mut(&task)
                    .filter(|task| task.state == TaskState::Leased)
                {
                    task.state = TaskState::Parked;
                    task.close_left = task.close_by.map(|by| by.since(now));
                    task.close_by = None;
                }
            }
            TaskOp::Resume { task } => {
                if let Some(task) = self
                    .tasks
                    .get_mut(&task)
                    .filter(|task| task.state == TaskState::Parked)
                {
                    task.state = TaskState::Ready;
                    task.new.ready_at = now;
                }
            }
            TaskOp::Remove { task } => {
                self.tasks.remove(&task);
            }
        }
    }

    pub(super) fn claim(&mut self, requests: &[ClaimRequest], lease: Millis) -> Vec<GrantedTask> {
        let ready = self.tasks.values().filter(|task| task.is_ready(self.now));
        let candidates = ready
            .map(|task| Candidate {
                task: task.new.task,
                namespace: task.new.namespace,
                capability: task.new.capability.clone(),
                priority: task.new.priority,
                ready_at: task.new.ready_at,
            })
            .collect();
        let grants = assign(requests, candidates);
        grants
            .into_iter()
            .filter_map(|(position, candidate)| {
                let hand = HandOff {
                    task: candidate.task,
                    worker: requests[position].worker,
                    nonce: self.nonce(),
                    lease,
                };
                self.hand_off(&hand)
            })
            .collect()
    }

    /// Leases a task; `None` for one that does not exist.
    pub(super) fn hand_off(&mut self, hand: &HandOff) -> Option<GrantedTask> {
        let now = self.now;
        let task = self.tasks.get_mut(&hand.task)?;
        task.state = TaskState::Leased;
        task.lease_seq += 1;
        task.lease_nonce = Some(hand.nonce);
        task.worker = Some(hand.worker);
        task.granted_at = Some(now);
        task.lease_until = now.plus(hand.lease);
        task.close_by = task.close_left.map(|left| now.plus(left));
        Some(GrantedTask {
            lease: Lease {
                task: task.new.task,
                seq: task.lease_seq,
                nonce: hand.nonce,
            },
            worker: hand.worker,
            deadline: task.lease_until,
            granted_at: now,
            ready_at: task.new.ready_at,
            namespace: task.new.namespace,
            run: task.new.run,
            root: task.new.root,
            step: task.new.step.clone(),
            capability: task.new.capability.clone(),
            contract: task.new.contract,
            input: task.new.input,
            attempt: task.new.attempt,
            close_by: task.close_by,
            trace: task.new.trace,
        })
    }

    /// Offers a task again whose grant nobody has taken up.
    pub(super) fn give_back(&mut self, beat: Beat, rest: Millis) {
        let rested = (rest > Millis(0)).then(|| self.now.plus(rest));
        if let Some(task) = self.held(beat) {
            task.new.ready_at = rested.map_or(task.new.ready_at, |at| at.max(task.new.ready_at));
            task.state = TaskState::Ready;
            task.close_by = None;
        }
    }

    pub(super) fn beat(&mut self, beat: Beat, lease: Millis) -> BeatOutcome {
        let until = self.now.plus(lease);
        match self.held(beat) {
            Some(task) => {
                task.lease_until = until;
                BeatOutcome::Extended(until)
            }
            None => BeatOutcome::Lost,
        }
    }

    fn held(&mut self, beat: Beat) -> Option<&mut StoredTask> {
        self.tasks.get_mut(&beat.lease.task).filter(|task| {
            task.state == TaskState::Leased
                && task.lease_seq == beat.lease.seq
                && task.lease_nonce == Some(beat.lease.nonce)
                && task.worker == Some(beat.worker)
        })
    }

    pub(super) fn due_tasks(&self) -> BTreeMap<SweepKey, TaskRow> {
        let due = self.tasks.values().filter(|task| task.is_due(self.now));
        in_order(due.filter_map(|task| Some((task.due_at()?, task.new.task.0, task.row()))))
    }
}

impl StoredTask {
    fn due(&self) -> Due {
        match self.state {
            TaskState::Ready => match self.new.schedule_to_start {
                Some(span) => Due::ScheduleToStart(self.new.ready_at.plus(span)),
                None => Due::Never,
            },
            TaskState::Leased => match self.close_by {
                Some(by) if by <= self.lease_until => Due::StartToClose(by),
                Some(_) | None => Due::LeaseDeadline(self.lease_until),
            },
            TaskState::Parked => Due::Never,
        }
    }

    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        self.state == TaskState::Ready && self.new.ready_at <= now
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.due_at().is_some_and(|at| at <= now)
    }

    pub(super) fn due_at(&self) -> Option<Timestamp> {
        match self.due() {
            Due::Never => None,
            Due::ScheduleToStart(at) | Due::LeaseDeadline(at) | Due::StartToClose(at) => Some(at),
        }
    }

    pub(super) fn row(&self) -> TaskRow {
        TaskRow {
            task: self.new.task,
            run: self.new.run,
            root: self.new.root,
            step: self.new.step.clone(),
            state: self.state,
            attempt: self.new.attempt,
            lease_seq: self.lease_seq,
            lease_nonce: self.lease_nonce,
            worker: self.worker,
            granted_at: self.granted_at,
            crash_count: self.crash_count,
            due: self.due(),
        }
    }
}
