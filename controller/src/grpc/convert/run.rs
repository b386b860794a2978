//! Runs and their steps.

use std::collections::BTreeMap;

use fulcrum_core::definition::model::StepKind;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::event::Activity;
use fulcrum_core::ids::PayloadId;
use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_core::run::{Run, StepState, StepStatus};
use fulcrum_core::store::{RunHead, RunStatus};
use fulcrum_proto::common::v1 as common;
use fulcrum_proto::workflow::v1 as wire;

use super::{failure, payload, time};
use crate::identity::{IdentityId, Role};

/// Bytes of payloads in one answer. Below `server.message_out_bytes_max`, with room for everything else.
const ANSWER_PAYLOAD_BYTES_MAX: u64 = 7 << 20;

/// How much of a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The run with its input and output.
    Run,
    /// And its steps with their outputs.
    Steps,
}

/// Payloads by id, for [`run`].
pub type Payloads = BTreeMap<PayloadId, Payload>;

/// The payloads that showing a run needs, as far as an answer has room for them: its output first, then its input, then
/// the outputs of its steps.
#[must_use]
pub fn references(run: &Run, detail: Detail) -> Vec<PayloadRef> {
    let mut references: Vec<PayloadRef> = run.output.into_iter().chain(run.origin.input).collect();
    if detail == Detail::Steps {
        references.extend(run.steps.iter().filter_map(|step| step.output));
    }
    let mut room = Room::default();
    references.retain(|reference| room.take(*reference));
    references.sort_unstable();
    references.dedup();
    references
}

/// What is left of the room for payloads in one answer. The same payload takes its bytes each time that it is shown.
struct Room(u64);

impl Default for Room {
    fn default() -> Self {
        Self(ANSWER_PAYLOAD_BYTES_MAX)
    }
}

impl Room {
    fn take(&mut self, reference: PayloadRef) -> bool {
        let rest = self.0.checked_sub(u64::from(reference.bytes));
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The payload, if there is room for it.
    fn show(
        &mut self,
        payloads: &Payloads,
        reference: Option<PayloadRef>,
    ) -> Option<common::Payload> {
        let shown = payloads.get(&reference?.id)?;
        self.take(reference?)
            .then(|| payload::payload(shown.clone()))
    }
}

/// A run for the wire, in full; with its steps if its plan is given, which tells what kind a closed step was.
#[must_use]
pub fn run(
    namespace: &str,
    run: &Run,
    head: &RunHead,
    payloads: &Payloads,
    plan: Option<&Plan>,
) -> wire::Run {
    let mut room = Room::default();
    let output = room.show(payloads, run.output);
    let input = room.show(payloads, run.origin.input);
    let mut steps: Vec<&StepState> = if plan.is_some() {
        run.steps.iter().collect()
    } else {
        Vec::new()
    };
    steps.sort_by_key(|step| step.opened_seq);
    let steps = steps
        .into_iter()
        .map(|state| {
            let output = room.show(payloads, state.output);
            step(run, state, output, plan)
        })
        .collect();
    let origin = &run.origin;
    wire::Run {
        input,
        output,
        failure: run
            .failure
            .as_ref()
            .map(failure::failure)
            .or_else(|| cancelled(run)),
        steps,
        parent_step_key: origin
            .parent
            .as_ref()
            .map(|parent| parent.step.to_string())
            .unwrap_or_default(),
        trace_id: origin
            .trace
            .map(|trace| hex::encode(trace.trace_id))
            .unwrap_or_default(),
        waiting_for: waiting_for(run),
        ..summary(namespace, head)
    }
}

/// A run for the wire, as listings show it.
#[must_use]
pub fn summary(namespace: &str, head: &RunHead) -> wire::Run {
    wire::Run {
        run_id: head.run.to_string(),
        namespace: namespace.to_owned(),
        workflow: head.workflow.clone(),
        definition_hash: head.definition.to_string(),
        status: status(head.status).into(),
        started_at: Some(time::instant(head.started_at)),
        closed_at: head.closed_at.map(time::instant),
        parent_run_id: head
            .parent
            .map(|parent| parent.to_string())
            .unwrap_or_default(),
        version: head.version,
        idempotency_key: head.idempotency_key.clone().unwrap_or_default(),
        ..wire::Run::default()
    }
}

/// A run's status for the wire.
#[must_use]
pub fn status(status: RunStatus) -> wire::RunStatus {
    match status {
        RunStatus::Running => wire::RunStatus::Running,
        RunStatus::Cancelling => wire::RunStatus::Cancelling,
        RunStatus::Completed => wire::RunStatus::Completed,
        RunStatus::Failed => wire::RunStatus::Failed,
        RunStatus::Cancelled => wire::RunStatus::Cancelled,
    }
}

fn cancelled(run: &Run) -> Option<common::Failure> {
    let reason = run
        .cancel_reason
        .as_ref()
        .filter(|_| run.status == RunStatus::Cancelled)?;
    Some(common::Failure {
        class: common::FailureClass::Fatal.into(),
        code: fulcrum_core::failure::code::CANCELLED.to_owned(),
        message: reason.clone(),
        ..common::Failure::default()
    })
}

/// What the innermost open steps wait for.
fn waiting_for(run: &Run) -> String {
    let leaves = run.open_steps().filter(|step| match step.activity {
        Some(Activity::Parallel | Activity::Switch { .. } | Activity::Try) | None => false,
        Some(
            Activity::Call(_)
            | Activity::Review(_)
            | Activity::Sleep { .. }
            | Activity::Wait { .. }
            | Activity::Foreach(_)
            | Activity::Child { .. },
        ) => true,
    });
    let texts: Vec<String> = leaves
        .take(5)
        .filter_map(|step| {
            Some(format!(
                "{}: {}",
                step.key.path,
                run.waiting_for(&step.key)?
            ))
        })
        .collect();
    texts.join("; ")
}

fn step(
    run: &Run,
    state: &StepState,
    output: Option<common::Payload>,
    plan: Option<&Plan>,
) -> wire::StepState {
    let planned = plan
        .and_then(|plan| plan.at(&state.key.path))
        .map(|node| &node.step.kind);
    let (kind, capability) = match (planned, &state.activity) {
        (Some(StepKind::Call { capability, .. }), _) => (wire::StepKind::Call, capability.clone()),
        (Some(planned), _) => (planned_kind(planned), String::new()),
        // An operation of a task's journal is in no plan.
        (None, Some(Activity::Call(call))) => (wire::StepKind::Call, call.capability.clone()),
        (None, Some(activity)) => (activity_kind(activity), String::new()),
        (None, None) => (wire::StepKind::Unspecified, String::new()),
    };
    let worker = state
        .reported
        .as_ref()
        .map(|grant| IdentityId(grant.worker.0).type_id(Role::Executor));
    wire::StepState {
        step_key: state.key.to_string(),
        kind: kind.into(),
        status: step_status(state).into(),
        attempt: state.attempt,
        waiting_for: run.waiting_for(&state.key).unwrap_or_default(),
        started_at: Some(time::instant(state.opened_at)),
        finished_at: state.closed_at.map(time::instant),
        output,
        failure: state.failure.as_ref().map(failure::failure),
        capability,
        worker_id: worker.unwrap_or_default(),
    }
}

fn step_status(state: &StepState) -> wire::StepStatus {
    match state.status {
        StepStatus::Open => match &state.activity {
            Some(Activity::Call(_)) if !state.parked => wire::StepStatus::Ready,
            Some(Activity::Parallel | Activity::Switch { .. } | Activity::Try) => {
                wire::StepStatus::Running
            }
            Some(
                Activity::Call(_)
                | Activity::Review(_)
                | Activity::Sleep { .. }
                | Activity::Wait { .. }
                | Activity::Foreach(_)
                | Activity::Child { .. },
            )
            | None => wire::StepStatus::Waiting,
        },
        StepStatus::Completed => wire::StepStatus::Completed,
        StepStatus::Skipped => wire::StepStatus::Skipped,
        StepStatus::Failed | StepStatus::Absorbed => wire::StepStatus::Failed,
        StepStatus::Cancelled => wire::StepStatus::Cancelled,
    }
}

fn planned_kind(kind: &StepKind) -> wire::StepKind {
    match kind {
        StepKind::Call { .. } => wire::StepKind::Call,
        StepKind::Review(_) => wire::StepKind::Review,
        StepKind::Sleep { .. } | StepKind::Until { .. } => wire::StepKind::Sleep,
        StepKind::Wait { .. } => wire::StepKind::Wait,
        StepKind::Parallel { .. } => wire::StepKind::Parallel,
        StepKind::Foreach(_) => wire::StepKind::Foreach,
        StepKind::Switch { .. } => wire::StepKind::Switch,
        StepKind::Try { .. } => wire::StepKind::Try,
        StepKind::Run { .. } => wire::StepKind::Run,
        StepKind::Checkpoint { .. } => wire::StepKind::Checkpoint,
        StepKind::Set { .. } => wire::StepKind::Set,
        StepKind::Return { .. } => wire::StepKind::Return,
        StepKind::Fail { .. } => wire::StepKind::Fail,
    }
}

fn activity_kind(activity: &Activity) -> wire::StepKind {
    match activity {
        Activity::Call(_) => wire::StepKind::Call,
        Activity::Review(_) => wire::StepKind::Review,
        Activity::Sleep { .. } => wire::StepKind::Sleep,
        Activity::Wait { .. } => wire::StepKind::Wait,
        Activity::Parallel => wire::StepKind::Parallel,
        Activity::Switch { .. } => wire::StepKind::Switch,
        Activity::Try => wire::StepKind::Try,
        Activity::Foreach(_) => wire::StepKind::Foreach,
        Activity::Child { .. } => wire::StepKind::Run,
    }
}
