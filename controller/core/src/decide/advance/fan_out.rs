//! Following the children of a step: more of them, their results, their end.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::decide::command::{MailBody, TimerPurpose};
use crate::decide::decision::{JoinOutputs, Rejection};
use crate::decide::desk::{Desk, Halt};
use crate::decide::retry::{self, Next, Repetition};
use crate::decide::timer_fired::total_timeout;
use crate::definition::model::OnItemFailure;
use crate::event::{Activity, Event, Fanout, StepKey};
use crate::failure::{Failure, FailureClass, code};
use crate::payload::PayloadRef;
use crate::store::JoinOp;

impl Desk<'_> {
    /// A join has come further.
    pub(in crate::decide) fn follow_join(&mut self, step: &StepKey) -> Result<(), Rejection> {
        if self.is_winding_down(step) {
            return self.wind_down(step);
        }
        let Some(state) = self.run.step(step) else {
            return Ok(());
        };
        let join = state.join;
        let result = match &state.activity {
            Some(Activity::Foreach(fanout)) if join.closed >= fanout.total => {
                let fanout = fanout.clone();
                self.collect(step, &fanout)
            }
            Some(Activity::Foreach(_)) => self.spawn(step),
            Some(Activity::Child { .. })
                if join.closed >= join.spawned && state.retry_at.is_none() =>
            {
                self.child_closed(step)
            }
            Some(
                Activity::Child { .. }
                | Activity::Call(_)
                | Activity::Review(_)
                | Activity::Sleep { .. }
                | Activity::Wait { .. }
                | Activity::Parallel
                | Activity::Switch { .. }
                | Activity::Try,
            )
            | None => Ok(()),
        };
        self.or_fail(step, result)
    }

    /// Goes on with what one commit could not hold.
    pub(in crate::decide) fn continue_fan_outs(&mut self) -> Result<(), Rejection> {
        let before = self.run.last_seq;
        let fan_outs = self.run.open_steps().filter(|state| {
            matches!(
                state.activity,
                Some(Activity::Foreach(_) | Activity::Child { .. })
            )
        });
        let fan_outs: Vec<(StepKey, u64)> = fan_outs
            .map(|state| (state.key.clone(), state.last_seq))
            .collect();
        for (step, seq) in fan_outs {
            self.because_of(Some(seq));
            self.follow_join(&step)?;
        }
        if self.run.last_seq == before {
            return Err(Rejection::Stale("there is nothing to continue"));
        }
        Ok(())
    }

    fn child_closed(&mut self, step: &StepKey) -> Result<(), Halt> {
        let Some(state) = self.run.step(step) else {
            return Ok(());
        };
        let (attempt, newest) = (state.attempt, state.join.spawned.saturating_sub(1));
        let outputs = self.join_of(step)?;
        let Some(item) = outputs.items.iter().find(|item| item.index == newest) else {
            return Ok(());
        };
        match &item.failure {
            None => self.complete(step, item.output, None),
            Some(failure) => self.child_attempt_failed(step, attempt, failure),
        }
        Ok(())
    }

    /// A child run failed: another one, if the step says so and the child's own failure may go away, or the end.
    fn child_attempt_failed(&mut self, step: &StepKey, attempt: u32, failure: &Failure) {
        let told = child_failed("the child run", failure);
        let node = self.plan.at(&step.path);
        let next = match node.and_then(|node| node.step.retry.as_ref()) {
            Some(policy) => retry::judge(
                policy,
                Repetition::Unsafe,
                step,
                attempt,
                failure,
                self.now(),
                &self.inputs.entropy,
            ),
            None => Next::Stop,
        };
        match next {
            Next::Stop => self.fail(step, told, None),
            Next::Again(retry_at) => {
                self.emit(Event::AttemptFailed {
                    step: step.clone(),
                    attempt,
                    failure: Failure {
                        class: failure.class,
                        ..told
                    },
                    retry_at,
                    grant: None,
                });
                self.set_timer(step, TimerPurpose::Wake, retry_at);
            }
        }
    }

    /// All items have closed: their outputs become the step's.
    fn collect(&mut self, step: &StepKey, fanout: &Fanout) -> Result<(), Halt> {
        let mut outputs: Vec<Option<PayloadRef>> = vec![None; fanout.total as usize];
        for item in &self.join_of(step)?.items {
            if let Some(place) = outputs.get_mut(item.index as usize) {
                *place = item.output;
            }
        }
        if !self.is_to_be_seen(step, &outputs)? {
            self.complete(step, None, None);
            return Ok(());
        }
        let values = self.values_of(&outputs)?;
        let list = values.iter().map(|value| (**value).clone()).collect();
        let output = self.store(Value::Array(list))?;
        self.complete(step, Some(output), None);
        Ok(())
    }

    /// Must no further child begin, and those that run end?
    fn is_winding_down(&self, step: &StepKey) -> bool {
        let Some(state) = self.run.step(step) else {
            return false;
        };
        let failed = match &state.activity {
            Some(Activity::Foreach(fanout)) => match fanout.on_item_failure {
                OnItemFailure::Fail => state.join.failed > 0,
                OnItemFailure::Continue => false,
            },
            Some(
                Activity::Child { .. }
                | Activity::Call(_)
                | Activity::Review(_)
                | Activity::Sleep { .. }
                | Activity::Wait { .. }
                | Activity::Parallel
                | Activity::Switch { .. }
                | Activity::Try,
            )
            | None => false,
        };
        failed
            || state.timed_out
            || self
                .plan
                .at(&step.path)
                .is_some_and(|node| self.is_doomed(node.id))
    }

    /// Tells the children that still run to end, as many as one commit holds; the step closes when all were told.
    pub(super) fn wind_down(&mut self, step: &StepKey) -> Result<(), Rejection> {
        let result = self.try_wind_down(step);
        self.or_fail(step, result)
    }

    fn try_wind_down(&mut self, step: &StepKey) -> Result<(), Halt> {
        let Some(state) = self.run.step(step).filter(|state| state.is_open()) else {
            return Ok(());
        };
        let (join, timed_out) = (state.join, state.timed_out);
        let outputs = self.join_of(step)?;
        let closed: BTreeSet<u32> = outputs.items.iter().map(|item| item.index).collect();
        let batch = self.inputs.limits.spawn_batch_max.max(1) as usize;
        let (from, mut to, mut told) = (join.cancelled, join.cancelled, 0);
        while to < join.spawned && told < batch {
            if !closed.contains(&to) {
                let reason = format!("its parent {} gave up step {step}", self.run.id);
                self.send(
                    self.child_of(step, to),
                    "cancel",
                    0,
                    MailBody::Cancel { reason },
                );
                told += 1;
            }
            to += 1;
        }
        if from < to {
            self.emit(Event::ItemsCancelled {
                step: step.clone(),
                from,
                to,
            });
        }
        if to < join.spawned {
            self.continue_later();
            return Ok(());
        }
        let first = outputs
            .items
            .iter()
            .find_map(|item| item.failure.as_ref().map(|failure| (item.index, failure)));
        match first {
            _ if timed_out => self.fail(step, total_timeout(), None),
            _ if self
                .plan
                .at(&step.path)
                .is_some_and(|node| self.is_doomed(node.id)) =>
            {
                self.cancel(step)
            }
            Some((index, failure)) => {
                self.fail(step, child_failed(&format!("item {index}"), failure), None)
            }
            None => self.fail(
                step,
                Failure::fatal(code::CHILD_FAILED, "an item failed"),
                None,
            ),
        }
        Ok(())
    }

    fn join_of(&mut self, step: &StepKey) -> Result<JoinOutputs, Halt> {
        let opens = |op: &JoinOp| matches!(op, JoinOp::Open { key, .. } if key.step == *step);
        match self.inputs.joins.get(step) {
            Some(outputs) => Ok(outputs.clone()),
            // It begins with this decision: no child can have closed.
            None if self.decision.joins.iter().any(opens) => Ok(JoinOutputs::default()),
            None => {
                self.needs.joins.insert(step.clone());
                Err(self.missing())
            }
        }
    }
}

fn child_failed(who: &str, failure: &Failure) -> Failure {
    let message = format!("{who} failed with {}: {}", failure.code, failure.message);
    Failure::new(FailureClass::Fatal, code::CHILD_FAILED, message)
}
