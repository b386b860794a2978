//! Timeline entries.

use fulcrum_core::event::{Activity, Actor, ChainHash, Envelope, Event, StepKey, Verdict};
use fulcrum_core::ids::RunId;
use fulcrum_core::store::StoredEvent;
use fulcrum_proto::workflow::v1 as wire;

use super::time;
use crate::identity::{IdentityId, Role};
use crate::server::fault::Fault;

/// A timeline entry for the wire. `previous` is the hash of the entry before it; the chain is verified on the way.
pub fn event(run: RunId, stored: &StoredEvent, previous: ChainHash) -> Result<wire::Event, Fault> {
    let envelope = stored
        .open(run, previous)
        .map_err(|problem| Fault::from(problem.of(run)))?;
    let (step, attempt) = subject(&envelope.event);
    Ok(wire::Event {
        seq: envelope.seq,
        at: Some(time::instant(envelope.at)),
        kind: envelope.event.name().to_owned(),
        kind_number: u32::from(stored.kind),
        step_key: step.map(StepKey::to_string).unwrap_or_default(),
        attempt,
        actor: actor(&envelope.actor),
        cause_seq: envelope.cause.unwrap_or(0),
        trace_id: envelope.trace_id.map(hex::encode).unwrap_or_default(),
        summary: summary(&envelope),
        details_json: serde_json::to_vec(&envelope.event)
            .unwrap_or_default()
            .into(),
        body: stored.body.clone().into(),
        schema: u32::from(stored.schema),
        prev_hash: previous.0.to_vec().into(),
        hash: stored.hash.0.to_vec().into(),
    })
}

fn actor(actor: &Actor) -> String {
    match actor {
        Actor::System => "fulcrum".to_owned(),
        Actor::Operator(name) | Actor::Client(name) => name.clone(),
        Actor::Worker(worker) => IdentityId(worker.0).type_id(Role::Executor),
        Actor::Run(run) => run.to_string(),
    }
}

/// The step and the attempt that an event is about.
fn subject(event: &Event) -> (Option<&StepKey>, u32) {
    match event {
        Event::AttemptFailed { step, attempt, .. } => (Some(step), *attempt),
        Event::StepSkipped { step, .. }
        | Event::StepOpened { step, .. }
        | Event::StepCompleted { step, .. }
        | Event::LeaseExpired { step, .. }
        | Event::StepFailed { step, .. }
        | Event::StepCancelled { step }
        | Event::ReviewDecided { step, .. }
        | Event::SignalConsumed { step, .. }
        | Event::ItemsSpawned { step, .. }
        | Event::JoinProgressed { step, .. }
        | Event::CheckpointReached { step, .. }
        | Event::JournalRecorded { step, .. }
        | Event::JournalRequested { step, .. }
        | Event::StepParked { step, .. }
        | Event::StepResumed { step }
        | Event::StepTimedOut { step }
        | Event::ItemsCancelled { step, .. } => (Some(step), 0),
        Event::RunStarted(_)
        | Event::SignalReceived { .. }
        | Event::VariableSet { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunReturning { .. }
        | Event::RunCompleted { .. }
        | Event::RunFailed { .. }
        | Event::RunCancelled { .. } => (None, 0),
    }
}

fn summary(envelope: &Envelope) -> String {
    match &envelope.event {
        Event::RunStarted(started) => format!("run of `{}` started", started.workflow),
        Event::StepSkipped { step, .. } => format!("{} skipped", step.path),
        Event::StepOpened { step, activity } => {
            format!("{}: {}", step.path, activity_text(activity))
        }
        Event::StepCompleted { step, .. } => format!("{} completed", step.path),
        Event::AttemptFailed {
            step,
            attempt,
            failure,
            retry_at,
            ..
        } => {
            format!(
                "{}: attempt {attempt} failed with {}: {}; again at {retry_at}",
                step.path, failure.code, failure.message
            )
        }
        Event::LeaseExpired {
            step,
            crash_count,
            retry_at,
            ..
        } => {
            format!(
                "{}: the worker's lease ran out (crash {crash_count}); offered again at {retry_at}",
                step.path
            )
        }
        Event::StepFailed {
            step,
            failure,
            handled,
            ..
        } => {
            let absorbed = if *handled { "; the run goes on" } else { "" };
            format!(
                "{} failed with {}: {}{absorbed}",
                step.path, failure.code, failure.message
            )
        }
        Event::StepCancelled { step } => format!("{} cancelled", step.path),
        Event::ReviewDecided { step, verdict, .. } => {
            format!("{}: {}", step.path, verdict_text(verdict))
        }
        Event::SignalReceived { name, .. } => format!("signal `{name}` received"),
        Event::SignalConsumed { step, name } => format!("{} took signal `{name}`", step.path),
        Event::ItemsSpawned { step, from, to } => format!(
            "{}: items {from} to {} started",
            step.path,
            to.saturating_sub(1)
        ),
        Event::JoinProgressed {
            step,
            closed,
            failed,
        } => format!("{}: {closed} closed, {failed} of them failed", step.path),
        Event::VariableSet { name, .. } => format!("variable `{name}` set"),
        Event::CheckpointReached { name, .. } => format!("checkpoint `{name}` reached"),
        Event::JournalRecorded { step, name, .. } => format!("{}: `{name}` recorded", step.path),
        Event::JournalRequested { step, name, .. } => format!("{}: `{name}` requested", step.path),
        Event::StepParked { step, .. } => format!("{} parked", step.path),
        Event::StepResumed { step } => format!("{} resumed", step.path),
        Event::RunCancelRequested { reason } => format!("cancellation asked for: {reason}"),
        Event::RunReturning { .. } => "return reached".to_owned(),
        Event::RunCompleted { .. } => "run completed".to_owned(),
        Event::RunFailed { failure } => {
            format!("run failed with {}: {}", failure.code, failure.message)
        }
        Event::RunCancelled { reason } => format!("run cancelled: {reason}"),
        Event::StepTimedOut { step } => format!("{}: its time is over", step.path),
        Event::ItemsCancelled { step, from, to } => format!(
            "{}: items {from} to {} told to end",
            step.path,
            to.saturating_sub(1)
        ),
    }
}

fn activity_text(activity: &Activity) -> String {
    match activity {
        Activity::Call(call) => format!("calls `{}`", call.capability),
        Activity::Review(_) => "asks a person".to_owned(),
        Activity::Sleep { until } => format!("sleeps until {until}"),
        Activity::Wait { signal, .. } => format!("waits for signal `{signal}`"),
        Activity::Parallel => "starts its members".to_owned(),
        Activity::Switch { case: Some(case) } => format!("takes case {}", case + 1),
        Activity::Switch { case: None } => "takes the default branch".to_owned(),
        Activity::Try => "begins".to_owned(),
        Activity::Foreach(fanout) => format!("fans out over {} items", fanout.total),
        Activity::Child { workflow, run, .. } => format!("runs `{workflow}` as {run}"),
    }
}

fn verdict_text(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Approved { edited: None } => "approved",
        Verdict::Approved { edited: Some(_) } => "approved with an edit",
        Verdict::Rejected => "rejected",
        Verdict::Expired(_) => "review expired",
    }
}
