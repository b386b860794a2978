//! Committing: the rows that a decision changes.

use fulcrum_core::decide::{Decided, Rejection};
use fulcrum_core::ids::{CommitId, MailId, RunId};
use fulcrum_core::run::Run;
use fulcrum_core::store::join::Teller;
use fulcrum_core::store::{ReviewOp, TimerOp};
use fulcrum_core::task::{Fence, TaskOp, TaskState};

use super::{Task, Timer, World};

impl World {
    pub(super) fn check_fences(&self, fences: &[Fence]) -> Result<(), Rejection> {
        for fence in fences {
            let task = self.tasks.get(&fence.lease.task);
            let leased = |task: &Task| fence.holder.is_none() || task.state == TaskState::Leased;
            let holds = task.is_some_and(|task| task.seq == fence.lease.seq && leased(task));
            if !holds {
                return Err(Rejection::LeaseLost(fence.lease.task));
            }
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, run: RunId, decided: Decided) {
        let Decided {
            decision,
            run: after,
        } = decided;
        let timeline = self.timelines.entry(run).or_default();
        timeline.extend(decision.events);
        assert_eq!(
            Run::fold(run, timeline.iter()).as_ref(),
            Some(&after),
            "the fold of the timeline is the state"
        );
        assert_eq!(
            Run::from_bytes(&after.to_bytes()).as_ref(),
            Ok(&after),
            "a snapshot gives the state back"
        );
        self.runs.insert(run, after);
        for new in decision.payloads {
            assert_eq!(new.reference.hash, new.payload.hash());
            let id = new.reference.id;
            assert!(
                self.payloads.insert(id, new).is_none(),
                "payload {id} is made twice"
            );
        }
        decision.tasks.into_iter().for_each(|op| self.task_op(op));
        for op in decision.timers {
            match op {
                TimerOp::Set {
                    timer,
                    run,
                    root: _,
                    step,
                    purpose,
                    at,
                } => {
                    self.timers.insert(
                        timer,
                        Timer {
                            run,
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
        for id in decision.consumed {
            self.mail.remove(&id);
        }
        for mail in decision.mail {
            self.mail.entry(mail.id).or_insert(mail);
        }
        let commit = CommitId(MailId::of(run, "commit", self.runs[&run].last_seq).0);
        for op in decision.joins {
            self.joins.apply(Teller { run, commit }, op);
        }
        for mail in self.joins.announce() {
            self.mail.entry(mail.id).or_insert(mail);
        }
        for op in decision.reviews {
            match op {
                ReviewOp::Open(row) => {
                    self.reviews.insert(row.review, row);
                }
                ReviewOp::Close { review } => assert!(self.reviews.remove(&review).is_some()),
                ReviewOp::Escalate { review } => assert!(self.reviews.contains_key(&review)),
            }
        }
    }

    fn task_op(&mut self, op: TaskOp) {
        let id = op.task();
        match op {
            TaskOp::Create(new) => {
                let seq = self.grants.get(&id).copied().unwrap_or(0);
                let (ready_at, attempt) = (new.ready_at, new.attempt);
                let task = Task {
                    new,
                    state: TaskState::Ready,
                    ready_at,
                    attempt,
                    seq,
                    crashes: 0,
                };
                assert!(self.tasks.insert(id, task).is_none(), "a step has one task");
            }
            TaskOp::Remove { .. } => {
                assert!(self.tasks.remove(&id).is_some(), "a removed task exists")
            }
            TaskOp::Release {
                ready_at,
                attempt,
                crash_count,
                ..
            } => {
                let task = self.tasks.get_mut(&id).expect("a released task exists");
                assert_eq!(task.state, TaskState::Leased);
                (task.state, task.ready_at, task.attempt, task.crashes) =
                    (TaskState::Ready, ready_at, attempt, crash_count);
            }
            TaskOp::Park { .. } => {
                let task = self.tasks.get_mut(&id).expect("a parked task exists");
                assert_eq!(task.state, TaskState::Leased);
                task.state = TaskState::Parked;
            }
            TaskOp::Resume { .. } => {
                let task = self.tasks.get_mut(&id).expect("a resumed task exists");
                assert_eq!(task.state, TaskState::Parked);
                (task.state, task.ready_at) = (TaskState::Ready, self.now);
            }
        }
    }
}
