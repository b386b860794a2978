//! Blocks: `parallel`, `switch` and `try`.

use serde_json::{Map, Value};

use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt, Work};
use crate::decide::timer_fired::total_timeout;
use crate::definition::model::Case;
use crate::definition::plan::{Node, NodeId, Slot};
use crate::event::{Activity, Event, StepKey};
use crate::failure::{Failure, code};
use crate::payload::PayloadRef;
use crate::run::{StepState, StepStatus};

use super::sequence::Ended;

impl Desk<'_> {
    pub(super) fn open_parallel(&mut self, node: &Node) -> Result<(), Halt> {
        self.opened(&node.key, Activity::Parallel);
        self.settle_parallel(node.id, StepStatus::Open)?;
        Ok(())
    }

    pub(super) fn open_switch(&mut self, node: &Node, cases: &[Case]) -> Result<(), Halt> {
        let mut chosen = None;
        for (case, n) in cases.iter().zip(0u16..) {
            if self.condition(node.id, &case.when)? {
                chosen = Some(n);
                break;
            }
        }
        self.opened(&node.key, Activity::Switch { case: chosen });
        self.begin(Some(node.id), chosen.map_or(Slot::Default, Slot::Case))?;
        Ok(())
    }

    pub(super) fn open_try(&mut self, node: &Node) -> Result<(), Halt> {
        self.opened(&node.key, Activity::Try);
        self.begin(Some(node.id), Slot::TryBody)?;
        Ok(())
    }

    /// A member closed (or the block has just opened): opens who is ready, or closes the block.
    pub(super) fn settle_parallel(
        &mut self,
        parallel: NodeId,
        member: StepStatus,
    ) -> Result<(), Rejection> {
        let node = self.plan.node(parallel);
        if !self.run.step(&node.key).is_some_and(StepState::is_open) {
            return Ok(());
        }
        let ending = self.is_ending(parallel);
        if ending && !member.lets_pass() {
            self.sweep()?;
        }
        let members = self.plan.list(Some(parallel), Slot::Member);
        let states = || {
            members
                .iter()
                .map(|id| self.run.step(&self.plan.node(*id).key))
        };
        if ending {
            if states().flatten().all(|state| !state.is_open()) {
                let failed = self
                    .first_failed(parallel, Slot::Member)
                    .and_then(|state| state.failure.clone());
                self.close_block(parallel, failed.map_or(Ended::Left, Ended::Failed));
            }
            return Ok(());
        }
        if states().all(|state| state.is_some_and(|state| state.status.lets_pass())) {
            let result = self.parallel_output(&node.key, members);
            let result = result.map(|output| self.close_block(parallel, Ended::Done(output)));
            let result = self.or_fail(&node.key, result);
            return self.put_aside(result);
        }
        for id in members {
            if self.run.step(&self.plan.node(*id).key).is_none() && self.needs_met(*id) {
                self.then(Work::Open(*id));
            }
        }
        Ok(())
    }

    fn needs_met(&self, member: NodeId) -> bool {
        self.plan.node(member).step.needs.iter().all(|name| {
            let needed = self
                .plan
                .named(name)
                .and_then(|node| self.run.step(&node.key));
            needed.is_some_and(|state: &StepState| state.status.lets_pass())
        })
    }

    /// `{ member's id: its output }`.
    fn parallel_output(
        &mut self,
        step: &StepKey,
        members: &[NodeId],
    ) -> Result<Option<PayloadRef>, Halt> {
        let outputs: Vec<Option<PayloadRef>> = members
            .iter()
            .map(|id| {
                self.run
                    .step(&self.plan.node(*id).key)
                    .and_then(|state| state.output)
            })
            .collect();
        if !self.is_to_be_seen(step, &outputs)? {
            return Ok(None);
        }
        let values = self.values_of(&outputs)?;
        let names = members
            .iter()
            .map(|id| self.plan.node(*id).name().to_owned());
        let map: Map<String, Value> = names
            .zip(values.iter().map(|value| (**value).clone()))
            .collect();
        Ok(Some(self.store(Value::Object(map))?))
    }

    /// Is the result of a join put together? Not if it is too large and nothing in the definition reads it: then it is
    /// null.
    ///
    /// # Errors
    /// It is too large and something does read it: the step fails, rather than that a null is taken for the truth.
    pub(super) fn is_to_be_seen(
        &self,
        step: &StepKey,
        outputs: &[Option<PayloadRef>],
    ) -> Result<bool, Box<Failure>> {
        let bytes: u64 = outputs
            .iter()
            .flatten()
            .map(|output| u64::from(output.bytes))
            .sum();
        let max = self.inputs.limits.join_result_bytes_max;
        if bytes <= u64::from(max) {
            return Ok(true);
        }
        if !self.plan.reads_output_of(&step.path) {
            return Ok(false);
        }
        let count = outputs.len();
        let message = format!(
            "the {count} outputs are {bytes} bytes together; join_result_bytes_max is {max}"
        );
        Err(Failure::fatal(code::LIMIT_EXCEEDED, message).into())
    }

    /// The body of a `try` failed.
    pub(super) fn catch(&mut self, block: NodeId) -> Result<(), Rejection> {
        let has_catch = !self.plan.list(Some(block), Slot::Catch).is_empty();
        if has_catch && !self.is_ending(block) {
            self.begin(Some(block), Slot::Catch)
        } else {
            self.finally(block)
        }
    }

    /// The body (or the `catch`) of a `try` is over, one way or another.
    pub(super) fn finally(&mut self, block: NodeId) -> Result<(), Rejection> {
        if self.plan.list(Some(block), Slot::Finally).is_empty() {
            self.settle_try(block);
            return Ok(());
        }
        self.begin(Some(block), Slot::Finally)
    }

    /// Everything in a `try` is over.
    pub(super) fn settle_try(&mut self, block: NodeId) {
        let mut ended = self.how_ended(Some(block), Slot::TryBody);
        let caught = self.plan.list(Some(block), Slot::Catch).first();
        if caught.is_some_and(|first| self.run.step(&self.plan.node(*first).key).is_some()) {
            ended = self.how_ended(Some(block), Slot::Catch);
        }
        if let failed @ Ended::Failed(_) = self.how_ended(Some(block), Slot::Finally) {
            ended = failed;
        }
        self.close_block(block, ended);
    }

    /// Closes a block. What timed out has failed, however its clean-up went.
    pub(super) fn close_block(&mut self, block: NodeId, ended: Ended) {
        let key = &self.plan.node(block).key;
        let Some(state) = self.run.step(key).filter(|state| state.is_open()) else {
            return;
        };
        match (state.timed_out, ended) {
            (true, _) => self.fail(key, total_timeout(), None),
            (false, Ended::Done(output)) => self.complete(key, output, None),
            (false, Ended::Failed(failure)) => self.fail(key, failure, None),
            (false, Ended::Left) => self.cancel(key),
        }
    }

    /// The step has begun.
    pub(super) fn opened(&mut self, key: &crate::event::StepKey, activity: Activity) {
        let seq = self.emit(Event::StepOpened {
            step: key.clone(),
            activity,
        });
        self.because_of(Some(seq));
    }
}
