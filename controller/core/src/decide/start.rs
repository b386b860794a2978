//! `Start`: a run comes into being.

use std::sync::Arc;

use serde_json::Value;

use crate::decide::command::{Command, Start};
use crate::decide::decision::{Decided, Inputs, Rejection};
use crate::decide::desk::Desk;
use crate::definition::plan::Plan;
use crate::event::{Entry, Envelope, Event, RunStarted};
use crate::failure::{Failure, code};
use crate::run::Run;

pub(super) fn decide(
    start: &Start,
    plan: &Plan,
    command: &Command,
    inputs: &Inputs,
) -> Result<Decided, Rejection> {
    if plan.hash != start.definition {
        return Err(Rejection::WrongPlan {
            run: command.run,
            problem: "it is pinned to another definition",
        });
    }
    if plan.entry(&start.entry).is_none() {
        return Err(Rejection::WrongPlan {
            run: command.run,
            problem: "it has no such entry",
        });
    }
    let payload_max = inputs.limits.payload_bytes_max;
    if let Some(large) = start
        .new_payload
        .as_ref()
        .filter(|new| new.reference.bytes > payload_max)
    {
        let actual = u64::from(large.reference.bytes);
        return Err(Rejection::LimitExceeded {
            limit: "payload_bytes_max",
            max: u64::from(payload_max),
            actual,
        });
    }
    let problem = match start.entry {
        Entry::Workflow => check_input(start, plan, inputs)?,
        Entry::Item { .. } => None,
    };
    if let (Some(problem), None) = (&problem, &start.parent) {
        return Err(Rejection::InvalidInput(problem.clone()));
    }
    let mut desk = begin(start, plan, command, inputs);
    match problem {
        Some(problem) => desk.fail_run(Failure::fatal(code::INPUT_SCHEMA_MISMATCH, problem)),
        None => desk.enter()?,
    }
    desk.finish()
}

fn begin<'a>(start: &Start, plan: &'a Plan, command: &Command, inputs: &'a Inputs) -> Desk<'a> {
    let started = RunStarted {
        namespace: start.namespace,
        workflow: start.workflow.clone(),
        definition: start.definition,
        entry: start.entry.clone(),
        root: start.root,
        parent: start.parent.clone(),
        depth: start.depth,
        input: start.input,
        scope: start.scope.clone(),
        idempotency_key: start.idempotency_key.clone(),
        trace: start.trace.or(command.trace),
    };
    let first = Envelope {
        seq: 1,
        at: inputs.now,
        actor: command.actor.clone(),
        cause: None,
        trace_id: start.trace.or(command.trace).map(|trace| trace.trace_id),
        event: Event::RunStarted(Box::new(started)),
    };
    let run = Run::from_started(command.run, &first).expect("the event is `RunStarted`");
    let mut desk = Desk::new(run, plan, command, inputs);
    desk.because_of(Some(first.seq));
    desk.decision.events.push(first);
    desk.decision.payloads.extend(start.new_payload.clone());
    desk
}

/// Says what is wrong with the input, if anything is.
fn check_input(start: &Start, plan: &Plan, inputs: &Inputs) -> Result<Option<String>, Rejection> {
    if !plan.has_input_schema() {
        return Ok(None);
    }
    let value = match (&start.input, &start.new_payload) {
        (None, _) => Arc::new(Value::Null),
        (Some(_), Some(new)) => match new.value() {
            Ok(value) => value,
            Err(e) => return Ok(Some(format!("it is not JSON: {e}"))),
        },
        (Some(input), None) => match inputs.payloads.get(&input.id) {
            Some(value) => Arc::clone(value),
            None => return Err(Rejection::needs_payload(*input)),
        },
    };
    Ok(plan.check_input(&value).err())
}
