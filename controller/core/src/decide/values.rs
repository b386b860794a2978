//! Values: what expressions see, and what becomes of their results.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt};
use crate::definition::model::{Expr, Template};
use crate::definition::plan::NodeId;
use crate::event::Entry;
use crate::expr::{Reference, Scope};
use crate::failure::{Failure, code};
use crate::payload::{Payload, PayloadRef};

/// Payloads made by decisions are numbered from here; those that a command brings in are numbered from 0 by whoever
/// names them, with the same entropy.
const FIRST_MADE: u32 = 1 << 31;

/// The values behind some references.
type Bound = Vec<(Reference, Arc<Value>)>;

impl Desk<'_> {
    /// The truth of a condition.
    pub(super) fn condition(&mut self, at: NodeId, expr: &Expr) -> Result<bool, Halt> {
        let bound = self.bind(Some(at), &self.plan.expressions().references(expr))?;
        let result = self.plan.expressions().condition(expr, &scope(&bound));
        result.map_err(|e| expression_failed(&e.to_string()).into())
    }

    /// The value of a template. `at` is the step that it belongs to; `None` for the workflow's output.
    pub(super) fn render(
        &mut self,
        at: Option<NodeId>,
        template: &Template,
    ) -> Result<Value, Halt> {
        let bound = self.bind(at, &self.plan.expressions().template_references(template))?;
        let result = self.plan.expressions().render(template, &scope(&bound));
        result.map_err(|e| expression_failed(&e.to_string()).into())
    }

    /// The value of a template as a payload; null is no payload. A template that only passes a payload on gives that
    /// payload, unseen, and one that takes a payload apart and puts the same together again gives that one, however
    /// it is written.
    pub(super) fn produce(
        &mut self,
        at: Option<NodeId>,
        template: &Template,
    ) -> Result<Option<PayloadRef>, Halt> {
        if let Some(passed_on) = self.passed_on(template) {
            return Ok(passed_on);
        }
        match self.render(at, template)? {
            Value::Null => Ok(None),
            value => {
                let known = self.payloads_behind(at, template);
                Ok(Some(self.store_unless(value, &known)?))
            }
        }
    }

    /// The same, where null must be stored too.
    pub(super) fn produce_stored(
        &mut self,
        at: Option<NodeId>,
        template: &Template,
    ) -> Result<PayloadRef, Halt> {
        match self.produce(at, template)? {
            Some(reference) => Ok(reference),
            None => Ok(self.store(Value::Null)?),
        }
    }

    /// Makes a payload of a value.
    pub(super) fn store(&mut self, value: Value) -> Result<PayloadRef, Box<Failure>> {
        self.store_unless(value, &[])
    }

    /// Makes a payload of a value, unless one of these is the same value.
    fn store_unless(
        &mut self,
        value: Value,
        known: &[PayloadRef],
    ) -> Result<PayloadRef, Box<Failure>> {
        for known in known {
            if self.look_up(Some(*known))?.is_some_and(|it| *it == value) {
                return Ok(*known);
            }
        }
        let payload = Payload::json(&value);
        self.check_size(payload.data.len())?;
        let new = payload.named(self.run.id, &self.inputs.entropy, FIRST_MADE + self.made);
        let reference = new.reference;
        self.made += 1;
        self.fresh.insert(reference.id, Arc::new(value));
        self.decision.payloads.push(new);
        Ok(reference)
    }

    pub(super) fn check_size(&self, bytes: usize) -> Result<(), Box<Failure>> {
        let max = self.inputs.limits.payload_bytes_max;
        if bytes <= max as usize {
            return Ok(());
        }
        let message = format!("a payload of {bytes} bytes; payload_bytes_max is {max}");
        Err(Failure::fatal(code::LIMIT_EXCEEDED, message).into())
    }

    /// The value of a payload; `None` is null. Asks for it if it is not at hand.
    pub(super) fn value_of(&mut self, reference: Option<PayloadRef>) -> Result<Arc<Value>, Halt> {
        match self.look_up(reference)? {
            Some(value) => Ok(value),
            None => {
                self.needs.payloads.extend(reference);
                Err(self.missing())
            }
        }
    }

    /// The rejection that asks for everything found missing so far.
    pub(super) fn missing(&self) -> Halt {
        Halt::Reject(Rejection::Needs(Box::new(self.needs.clone())))
    }

    /// The values of payloads; asks for all that are not at hand, at once.
    pub(super) fn values_of(
        &mut self,
        references: &[Option<PayloadRef>],
    ) -> Result<Vec<Arc<Value>>, Halt> {
        let mut values = Vec::with_capacity(references.len());
        for reference in references {
            match self.look_up(*reference)? {
                Some(value) => values.push(value),
                None => self.needs.payloads.extend(*reference),
            }
        }
        if values.len() == references.len() {
            Ok(values)
        } else {
            Err(self.missing())
        }
    }

    fn look_up(
        &mut self,
        reference: Option<PayloadRef>,
    ) -> Result<Option<Arc<Value>>, Box<Failure>> {
        let Some(reference) = reference else {
            return Ok(Some(Arc::new(Value::Null)));
        };
        if let Some(value) = self
            .inputs
            .payloads
            .get(&reference.id)
            .or_else(|| self.fresh.get(&reference.id))
        {
            return Ok(Some(Arc::clone(value)));
        }
        let Some(brought) = self
            .decision
            .payloads
            .iter()
            .find(|new| new.reference.id == reference.id)
        else {
            return Ok(None);
        };
        let value = brought.value().map_err(|e| {
            let encoding = &brought.payload.encoding;
            expression_failed(&format!(
                "a payload with encoding `{encoding}` is not JSON: {e}"
            ))
        })?;
        self.fresh.insert(reference.id, Arc::clone(&value));
        Ok(Some(value))
    }

    fn bind(
        &mut self,
        at: Option<NodeId>,
        references: &BTreeSet<Reference>,
    ) -> Result<Bound, Halt> {
        let mut bound = Vec::with_capacity(references.len());
        let mut complete = true;
        for reference in references {
            let value = match self.behind(at, reference) {
                Behind::Payload(payload) => match self.look_up(payload)? {
                    Some(value) => value,
                    None => {
                        self.needs.payloads.extend(payload);
                        complete = false;
                        continue;
                    }
                },
                Behind::Value(value) => Arc::new(value),
                // The evaluator says that it is absent, unless `has()` asks.
                Behind::Nothing => continue,
            };
            bound.push((reference.clone(), value));
        }
        if complete {
            Ok(bound)
        } else {
            Err(self.missing())
        }
    }

    /// The payload behind a reference to a step or a variable, if there is one; made, if it is a value.
    pub(super) fn stored_behind(
        &mut self,
        reference: &Reference,
    ) -> Result<Option<PayloadRef>, Box<Failure>> {
        match self.behind(None, reference) {
            Behind::Payload(payload) => Ok(payload),
            Behind::Value(Value::Null) | Behind::Nothing => Ok(None),
            Behind::Value(value) => Ok(Some(self.store(value)?)),
        }
    }

    /// The payloads that a template draws on.
    fn payloads_behind(&self, at: Option<NodeId>, template: &Template) -> Vec<PayloadRef> {
        let references = self.plan.expressions().template_references(template);
        let payload = |reference| match self.behind(at, reference) {
            Behind::Payload(payload) => payload,
            Behind::Value(_) | Behind::Nothing => None,
        };
        references.iter().filter_map(payload).collect()
    }

    fn behind(&self, at: Option<NodeId>, reference: &Reference) -> Behind {
        let origin = &self.run.origin;
        match reference {
            Reference::Input => Behind::Payload(origin.input),
            Reference::Step(name) => {
                let here = self
                    .plan
                    .named(name)
                    .and_then(|node| self.run.step(&node.key));
                match here {
                    Some(state) => Behind::Payload(state.output),
                    None => Behind::Payload(origin.scope.get(&format!("steps.{name}")).copied()),
                }
            }
            Reference::StepStatus(name) => match origin.scope.get(&status_in_scope(name)) {
                Some(outer)
                    if self
                        .plan
                        .named(name)
                        .is_none_or(|node| self.run.step(&node.key).is_none()) =>
                {
                    Behind::Payload(Some(*outer))
                }
                Some(_) | None => Behind::Value(self.status_of(name)),
            },
            Reference::Variable(name) => {
                let outer = || origin.scope.get(&format!("vars.{name}"));
                match self.run.vars.get(name).or_else(outer) {
                    Some(value) => Behind::Payload(Some(*value)),
                    None => Behind::Nothing,
                }
            }
            Reference::Item => match origin.scope.get("item") {
                Some(item) => Behind::Payload(Some(*item)),
                None => Behind::Nothing,
            },
            Reference::Index => match &origin.entry {
                Entry::Item { index, .. } => Behind::Value(json!(index)),
                Entry::Workflow => Behind::Nothing,
            },
            Reference::Run => Behind::Value(json!({
                "id": self.run.id.to_string(),
                "root": origin.root.to_string(),
                "workflow": origin.workflow,
                "started_at": self.run.started_at.to_string(),
            })),
            Reference::Error => Behind::Value(at.map_or(Value::Null, |at| self.caught(at))),
        }
    }

    /// How a step of this run stands; null if it has not begun.
    pub(super) fn status_of(&self, name: &str) -> Value {
        let node = self.plan.named(name);
        let state = node.and_then(|node| self.run.step(&node.key));
        state.map_or(Value::Null, |state| json!(state.status.as_str()))
    }

    /// The payload that a template hands on as it is.
    fn passed_on(&self, template: &Template) -> Option<Option<PayloadRef>> {
        let Template::Expr(expr) = template else {
            return None;
        };
        let expression = self.plan.expressions().get(expr).ok()?;
        let mut references = expression.references().iter();
        let (only, None) = (references.next()?, references.next()) else {
            return None;
        };
        if only.to_string() != expr.0 {
            return None;
        }
        match self.behind(None, only) {
            Behind::Payload(payload) => Some(payload),
            Behind::Value(_) | Behind::Nothing => None,
        }
    }
}

enum Behind {
    Payload(Option<PayloadRef>),
    Value(Value),
    Nothing,
}

/// Under which name a `foreach` body finds the status of a step around it.
pub(super) fn status_in_scope(name: &str) -> String {
    format!("steps.{name}.status")
}

fn scope(bound: &Bound) -> Scope<'_> {
    bound
        .iter()
        .fold(Scope::new(), |scope, (reference, value)| {
            scope.with(reference.clone(), value)
        })
}

fn expression_failed(problem: &str) -> Box<Failure> {
    Failure::fatal(code::EXPRESSION_FAILED, problem).into()
}
