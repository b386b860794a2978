//! Opening a step: its turn has come.

use serde_json::Value;

use crate::decide::command::TimerPurpose;
use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt};
use crate::definition::model::{Expr, StepKind, Template};
use crate::definition::plan::{Node, NodeId};
use crate::event::{Event, StepKey};
use crate::failure::{Failure, code};
use crate::payload::PayloadRef;

impl Desk<'_> {
    pub(super) fn open(&mut self, id: NodeId) -> Result<(), Rejection> {
        let node = self.plan.node(id);
        if self.run.step(&node.key).is_some() {
            return Ok(());
        }
        if self.is_doomed(id) {
            return self.pass_over(node);
        }
        let result = self
            .check_room()
            .map_err(Halt::from)
            .and_then(|()| self.open_kind(node));
        let result = self.or_fail(&node.key, result);
        self.put_aside(result)
    }

    fn check_room(&self) -> Result<(), Box<Failure>> {
        let max = self.inputs.limits.steps_per_run_max as usize;
        if self.run.steps.len() < max {
            return Ok(());
        }
        let message = format!("the run has {max} steps; steps_per_run_max is {max}");
        Err(Failure::fatal(code::LIMIT_EXCEEDED, message).into())
    }

    fn open_kind(&mut self, node: &Node) -> Result<(), Halt> {
        if let Some(when) = &node.step.when
            && !self.condition(node.id, when)?
        {
            let output = self.skipped_output(node)?;
            self.skip(&node.key, output);
            return Ok(());
        }
        let key = &node.key;
        match &node.step.kind {
            StepKind::Call { capability, with } => self.open_call_step(node, capability, with)?,
            StepKind::Review(review) => self.open_review_step(node, review)?,
            StepKind::Sleep { span } => self.open_sleep_step(node, span)?,
            StepKind::Until { at } => self.open_until_step(node, at)?,
            StepKind::Wait { signal } => {
                let until = node.step.timeout.total.map(|total| self.now().plus(total));
                self.open_wait(key, signal, until)?;
            }
            StepKind::Parallel { .. } => self.open_parallel(node)?,
            StepKind::Foreach(foreach) => self.open_foreach(node, foreach)?,
            StepKind::Switch { cases, .. } => self.open_switch(node, cases)?,
            StepKind::Try { .. } => self.open_try(node)?,
            StepKind::Run { workflow, with } => self.open_run(node, workflow, with)?,
            StepKind::Checkpoint { name } => {
                self.emit(Event::CheckpointReached {
                    step: key.clone(),
                    name: name.clone(),
                });
                self.complete(key, None, None);
            }
            StepKind::Set { vars } => {
                // All see the variables as they were before the step.
                let mut values = Vec::with_capacity(vars.len());
                for (name, template) in vars {
                    values.push((name.clone(), self.produce_stored(Some(node.id), template)?));
                }
                for (name, value) in values {
                    self.emit(Event::VariableSet { name, value });
                }
                self.complete(key, None, None);
            }
            StepKind::Return { value } => {
                let output = self.produce(Some(node.id), value)?;
                self.emit(Event::RunReturning { output });
                self.complete(key, output, None);
                self.sweep()?;
            }
            StepKind::Fail { code, message } => {
                let message = self.render(Some(node.id), message)?;
                self.fail(key, Failure::fatal(code, text(&message)), None);
            }
        }
        self.watch_total_time(key);
        Ok(())
    }

    fn watch_total_time(&mut self, key: &StepKey) {
        let Some(total) = self.total_timer_of(key) else {
            return;
        };
        if self.run.step(key).is_some_and(|state| state.is_open()) {
            self.set_timer(key, TimerPurpose::Total, self.now().plus(total));
        }
    }

    /// A skipped review passes on what it would have shown; everything else gives null.
    fn skipped_output(&mut self, node: &Node) -> Result<Option<PayloadRef>, Halt> {
        match &node.step.kind {
            StepKind::Review(review) => self.produce(Some(node.id), &review.show),
            StepKind::Call { .. }
            | StepKind::Sleep { .. }
            | StepKind::Until { .. }
            | StepKind::Wait { .. }
            | StepKind::Parallel { .. }
            | StepKind::Foreach(_)
            | StepKind::Switch { .. }
            | StepKind::Try { .. }
            | StepKind::Run { .. }
            | StepKind::Checkpoint { .. }
            | StepKind::Set { .. }
            | StepKind::Return { .. }
            | StepKind::Fail { .. } => Ok(None),
        }
    }

    /// The payload of an expression's value, together with the value.
    pub(super) fn produce_seen(
        &mut self,
        node: NodeId,
        expr: &Expr,
    ) -> Result<(PayloadRef, std::sync::Arc<Value>), Halt> {
        let reference = self.produce_stored(Some(node), &Template::Expr(expr.clone()))?;
        let value = self.value_of(Some(reference))?;
        Ok((reference, value))
    }
}

/// A value as text: strings as they are, everything else as JSON.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}
