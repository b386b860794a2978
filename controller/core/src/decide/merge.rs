//! Putting decisions together: at most one operation per task, timer and review in one commit.

use std::collections::BTreeMap;

use crate::decide::decision::Decision;
use crate::ids::TaskId;
use crate::run::Run;
use crate::store::{ReviewOp, TimerOp};
use crate::task::TaskOp;
use crate::time::Timestamp;

impl Decision {
    /// Puts the decision of the run's next command behind this one, so that both go into one commit. `run` is the run
    /// after the later decision, `now` the instant of that decision.
    pub fn absorb(&mut self, later: Decision, now: Timestamp, run: &Run) {
        self.events.extend(later.events);
        self.payloads.extend(later.payloads);
        self.fences.extend(later.fences);
        self.tasks.extend(later.tasks);
        self.timers.extend(later.timers);
        self.mail.extend(later.mail);
        self.consumed.extend(later.consumed);
        self.joins.extend(later.joins);
        self.reviews.extend(later.reviews);
        self.answer = later.answer;
        tidy(self, now, run);
    }
}

/// Merges operations on the same thing, and sorts them as locks are taken. What was made and undone in between never
/// reaches the store.
pub(super) fn tidy(decision: &mut Decision, now: Timestamp, run: &Run) {
    tidy_tasks(&mut decision.tasks, now, run);
    if decision.timers.len() > 1 {
        let mut timers = BTreeMap::new();
        for op in decision.timers.drain(..) {
            let timer = match &op {
                TimerOp::Set { timer, .. } | TimerOp::Clear { timer } => *timer,
            };
            timers.insert(timer, op);
        }
        decision.timers.extend(timers.into_values());
    }
    if decision.reviews.len() > 1 {
        let mut reviews: BTreeMap<_, ReviewOp> = BTreeMap::new();
        for op in decision.reviews.drain(..) {
            match (reviews.get(&op.review()), &op) {
                (Some(ReviewOp::Open(_)), ReviewOp::Close { review }) => {
                    reviews.remove(review);
                }
                (Some(_) | None, _) => {
                    reviews.insert(op.review(), op);
                }
            }
        }
        decision.reviews.extend(reviews.into_values());
    }
    decision.fences.sort_unstable();
    decision.fences.dedup();
}

fn tidy_tasks(tasks: &mut Vec<TaskOp>, now: Timestamp, run: &Run) {
    if tasks.len() < 2 {
        return;
    }
    let mut merged: BTreeMap<TaskId, TaskOp> = BTreeMap::new();
    for op in tasks.drain(..) {
        let task = op.task();
        let op = match (merged.remove(&task), op) {
            (Some(TaskOp::Create(_)), TaskOp::Remove { .. }) => continue,
            (Some(created @ TaskOp::Create(_)), TaskOp::Park { .. } | TaskOp::Resume { .. }) => {
                created
            }
            (Some(TaskOp::Park { .. }), TaskOp::Resume { task }) => release(task, now, run),
            (Some(_) | None, op) => op,
        };
        merged.insert(task, op);
    }
    tasks.extend(merged.into_values());
}

/// Parked and resumed in one commit: it goes from one grant straight to the next offer.
fn release(task: TaskId, now: Timestamp, run: &Run) -> TaskOp {
    let step = run
        .open_steps()
        .find(|state| TaskId::of_step(run.id, &state.key.to_string()) == task);
    let (attempt, crash_count) = step.map_or((1, 0), |state| (state.attempt, state.crashes));
    TaskOp::Release {
        task,
        ready_at: now,
        attempt,
        crash_count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::command::TimerPurpose;
    use crate::event::StepKey;
    use crate::ids::{ReviewId, RunId, Shard, TimerId};

    fn run_id() -> RunId {
        RunId::new(Timestamp::from_millis(1), Shard(0), 1)
    }

    fn task(n: u8) -> TaskId {
        TaskId::of_step(run_id(), &n.to_string())
    }

    fn empty_run() -> Run {
        use crate::event::{Actor, Entry, Envelope, Event, RunStarted};
        let started = RunStarted {
            namespace: crate::ids::NamespaceId(uuid::Uuid::nil()),
            workflow: "w".to_owned(),
            definition: crate::ids::DefinitionHash([0; 32]),
            entry: Entry::Workflow,
            root: run_id(),
            parent: None,
            depth: 0,
            input: None,
            scope: BTreeMap::new(),
            idempotency_key: None,
            trace: None,
        };
        let event = Event::RunStarted(Box::new(started));
        let (at, actor) = (Timestamp(0), Actor::System);
        let first = Envelope {
            seq: 1,
            at,
            actor,
            cause: None,
            trace_id: None,
            event,
        };
        Run::from_started(run_id(), &first).unwrap()
    }

    #[test]
    fn the_last_word_on_a_task_holds_and_what_was_made_and_undone_is_gone() {
        let mut decision = Decision::default();
        let release = |n, attempt| TaskOp::Release {
            task: task(n),
            ready_at: Timestamp(1),
            attempt,
            crash_count: 0,
        };
        decision
            .tasks
            .extend([release(1, 2), TaskOp::Park { task: task(2) }]);
        let later = Decision {
            tasks: vec![
                TaskOp::Remove { task: task(1) },
                TaskOp::Resume { task: task(2) },
                TaskOp::Park { task: task(3) },
            ],
            ..Decision::default()
        };
        decision.absorb(later, Timestamp(9), &empty_run());
        let mut expected = vec![
            TaskOp::Remove { task: task(1) },
            TaskOp::Release {
                task: task(2),
                ready_at: Timestamp(9),
                attempt: 1,
                crash_count: 0,
            },
            TaskOp::Park { task: task(3) },
        ];
        expected.sort_by_key(TaskOp::task);
        assert_eq!(decision.tasks, expected);
    }

    #[test]
    fn timers_and_reviews_keep_one_operation_each() {
        let step = StepKey::first("s");
        let timer = TimerId::of_step(run_id(), "s~1", "wake");
        let (run, root, purpose) = (run_id(), run_id(), TimerPurpose::Wake);
        let mut decision = Decision::default();
        decision.timers.push(TimerOp::Set {
            timer,
            run,
            root,
            step,
            purpose,
            at: Timestamp(5),
        });
        let review = ReviewId::of_step(run_id(), "r~1");
        decision.reviews.push(ReviewOp::Escalate { review });
        let later = Decision {
            timers: vec![TimerOp::Clear { timer }],
            reviews: vec![ReviewOp::Close { review }],
            ..Decision::default()
        };
        decision.absorb(later, Timestamp(9), &empty_run());
        assert_eq!(decision.timers, [TimerOp::Clear { timer }]);
        assert_eq!(decision.reviews, [ReviewOp::Close { review }]);
    }
}
