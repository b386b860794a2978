//! Closing a step: what it holds is let go, the event is written, its surroundings hear of it.

use crate::decide::command::TimerPurpose;
use crate::decide::desk::Desk;
use crate::definition::model::{OnFailure, StepKind};
use crate::event::{Activity, Event, Grant, StepKey};
use crate::failure::Failure;
use crate::ids::TaskId;
use crate::payload::PayloadRef;
use crate::store::{JoinOp, ReviewOp};
use crate::task::TaskOp;

impl Desk<'_> {
    pub(in crate::decide) fn complete(
        &mut self,
        step: &StepKey,
        output: Option<PayloadRef>,
        grant: Option<Grant>,
    ) {
        self.let_go(step);
        self.emit_closing(
            step,
            Event::StepCompleted {
                step: step.clone(),
                output,
                grant,
            },
        );
    }

    pub(in crate::decide) fn fail(
        &mut self,
        step: &StepKey,
        failure: Failure,
        grant: Option<Grant>,
    ) {
        self.let_go(step);
        let handled = self
            .plan
            .at(&step.path)
            .is_some_and(|node| match node.step.on_failure {
                OnFailure::Continue => true,
                OnFailure::Fail => false,
            });
        self.emit_closing(
            step,
            Event::StepFailed {
                step: step.clone(),
                failure,
                handled,
                grant,
            },
        );
    }

    pub(super) fn skip(&mut self, step: &StepKey, output: Option<PayloadRef>) {
        self.emit_closing(
            step,
            Event::StepSkipped {
                step: step.clone(),
                output,
            },
        );
    }

    pub(super) fn cancel(&mut self, step: &StepKey) {
        self.let_go(step);
        self.emit_closing(step, Event::StepCancelled { step: step.clone() });
    }

    /// Removes the task, timers, review and join that an open step holds, and cancels its operations.
    fn let_go(&mut self, step: &StepKey) {
        let Some(state) = self.run.step(step).filter(|state| state.is_open()) else {
            return;
        };
        let spawned = state.join.spawned;
        match &state.activity {
            Some(Activity::Call(_)) => {
                let task = TaskId::of_step(self.run.id, &step.to_string());
                self.decision.tasks.push(TaskOp::Remove { task });
                if !state.journal.is_empty() {
                    self.cancel_operations(step);
                }
            }
            Some(Activity::Review(asked)) => {
                let (review, expires) = (asked.review, asked.expires_at.is_some());
                self.decision.reviews.push(ReviewOp::Close { review });
                if expires {
                    self.clear_timer(step, TimerPurpose::Expiry);
                }
            }
            Some(Activity::Sleep { .. } | Activity::Wait { until: Some(_), .. }) => {
                self.clear_timer(step, TimerPurpose::Wake);
            }
            Some(Activity::Foreach(_) | Activity::Child { .. }) => {
                if state.retry_at.is_some() {
                    self.clear_timer(step, TimerPurpose::Wake);
                }
                if spawned > 0 {
                    let key = self.join_key(step);
                    self.decision.joins.push(JoinOp::Close { key });
                }
            }
            Some(
                Activity::Wait { until: None, .. }
                | Activity::Parallel
                | Activity::Switch { .. }
                | Activity::Try,
            )
            | None => {}
        }
        if self.total_timer_of(step).is_some() {
            self.clear_timer(step, TimerPurpose::Total);
        }
    }

    /// The total time of a step that is watched by a timer of its own.
    pub(in crate::decide) fn total_timer_of(&self, step: &StepKey) -> Option<crate::time::Millis> {
        let node = self.plan.at(&step.path)?;
        match node.step.kind {
            StepKind::Wait { .. } => None,
            StepKind::Call { .. }
            | StepKind::Review(_)
            | StepKind::Sleep { .. }
            | StepKind::Until { .. }
            | StepKind::Parallel { .. }
            | StepKind::Foreach(_)
            | StepKind::Switch { .. }
            | StepKind::Try { .. }
            | StepKind::Run { .. }
            | StepKind::Checkpoint { .. }
            | StepKind::Set { .. }
            | StepKind::Return { .. }
            | StepKind::Fail { .. } => node.step.timeout.total,
        }
    }

    fn cancel_operations(&mut self, host: &StepKey) {
        let prefix = format!("{}/", host.path);
        let from = StepKey {
            path: prefix.clone(),
            epoch: 0,
        };
        let open = self
            .run
            .open
            .range(from..)
            .take_while(|key| key.path.starts_with(&prefix));
        let operations: Vec<StepKey> = open.cloned().collect();
        for operation in operations {
            self.let_go(&operation);
            self.emit(Event::StepCancelled { step: operation });
        }
    }
}
