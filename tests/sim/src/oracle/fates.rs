//! What the events of a commit say has struck, and how they read in the trace.

use fulcrum_core::definition::model::OnExpiry;
use fulcrum_core::event::{Envelope, Event, StepKey, Verdict};
use fulcrum_core::failure::code;
use fulcrum_core::run::Run;

use crate::Stage;
use crate::stage::sometimes::Sometimes;

/// Counts what a commit tells.
pub(super) fn count_fates(stage: &Stage, run: &Run, events: &[Envelope]) {
    let mut actors: Vec<_> = events.iter().map(|envelope| &envelope.actor).collect();
    actors.dedup();
    if actors.len() > 1 {
        stage.saw(Sometimes::CommandsShareCommit);
    }
    for envelope in events {
        if let Some(fate) = fate(run, &envelope.event) {
            stage.saw(fate);
        }
    }
}

fn fate(run: &Run, event: &Event) -> Option<Sometimes> {
    match event {
        Event::RunStarted(started) => started.parent.as_ref().map(|_| Sometimes::ChildStarted),
        Event::AttemptFailed { .. } => Some(Sometimes::AttemptRepeated),
        Event::LeaseExpired { .. } => Some(Sometimes::LeaseExpired),
        Event::StepFailed { failure, .. } => match failure.code.as_str() {
            code::OUTCOME_UNKNOWN => Some(Sometimes::UnknownNotRepeated),
            code::WAIT_TIMEOUT => Some(Sometimes::WaitTimedOut),
            _other => None,
        },
        Event::StepParked { .. } => Some(Sometimes::TaskParked),
        Event::StepResumed { .. } => Some(Sometimes::TaskResumed),
        Event::JournalRecorded { .. } => Some(Sometimes::JournalRecorded),
        Event::SignalConsumed { .. } => Some(Sometimes::SignalTaken),
        Event::ReviewDecided { verdict, .. } => Some(match verdict {
            Verdict::Expired(
                OnExpiry::Fail | OnExpiry::Approve | OnExpiry::Reject | OnExpiry::Escalate,
            ) => Sometimes::ReviewExpired,
            Verdict::Approved { .. } | Verdict::Rejected => Sometimes::ReviewDecided,
        }),
        Event::RunCancelled { .. } => Some(Sometimes::RunCancelled),
        Event::StepOpened { step, .. } => {
            let caught = step.path.ends_with("/caught") && run.step(step).is_some();
            caught.then_some(Sometimes::FailureCaught)
        }
        Event::StepSkipped { .. }
        | Event::StepCompleted { .. }
        | Event::StepCancelled { .. }
        | Event::SignalReceived { .. }
        | Event::ItemsSpawned { .. }
        | Event::JoinProgressed { .. }
        | Event::VariableSet { .. }
        | Event::CheckpointReached { .. }
        | Event::JournalRequested { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunReturning { .. }
        | Event::RunCompleted { .. }
        | Event::RunFailed { .. }
        | Event::StepTimedOut { .. }
        | Event::ItemsCancelled { .. } => None,
    }
}

/// An event, as short as it can be told.
pub(super) fn tell(envelope: &Envelope) -> String {
    let name = envelope.event.name();
    match step_of(&envelope.event) {
        Some(step) => format!(" {name}({step})"),
        None => format!(" {name}"),
    }
}

/// The step that an event is about.
pub(super) fn step_of(event: &Event) -> Option<&StepKey> {
    match event {
        Event::StepSkipped { step, .. }
        | Event::StepOpened { step, .. }
        | Event::StepCompleted { step, .. }
        | Event::AttemptFailed { step, .. }
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
        | Event::ItemsCancelled { step, .. } => Some(step),
        Event::RunStarted(_)
        | Event::SignalReceived { .. }
        | Event::VariableSet { .. }
        | Event::RunCancelRequested { .. }
        | Event::RunReturning { .. }
        | Event::RunCompleted { .. }
        | Event::RunFailed { .. }
        | Event::RunCancelled { .. } => None,
    }
}
