//! Runs.

use std::collections::BTreeMap;

use fulcrum_core::definition::plan::Plan;
use fulcrum_core::event::Activity;
use fulcrum_core::ids::PayloadId;
use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_core::run::{Run, StepState};
use fulcrum_core::store::{RunHead, RunStatus};
use fulcrum_core::time::Timestamp;
use fulcrum_proto::common::v1 as common;
use fulcrum_proto::workflow::v1 as wire;

use super::payload::{self, Carriage};
use super::step::{self, Standings};
use super::{failure, time};

/// Bytes of payloads in one answer. Below `server.message_out_bytes_max`, with room for everything else.
const ANSWER_PAYLOAD_BYTES_MAX: u64 = 7 << 20;

/// Open steps named in what a run waits for.
const LEAVES_SHOWN: usize = 5;

/// How much of a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The run with its input and output, as an answer to what was asked of it: nobody looks how its tasks stand.
    Brief,
    /// And who is on its tasks.
    Run,
    /// And its steps with their outputs.
    Steps,
}

/// Payloads by id, for [`run`].
pub type Payloads = BTreeMap<PayloadId, Payload>;

/// The payloads that showing a run needs, as far as an answer has room for them: its output first, then its input, then
/// the outputs of its steps.
#[must_use]
pub fn references(run: &Run, detail: Detail, carriage: Carriage<'_>) -> Vec<PayloadRef> {
    let mut references: Vec<PayloadRef> = run.output.into_iter().chain(run.origin.input).collect();
    if detail == Detail::Steps {
        references.extend(run.steps.iter().filter_map(|step| step.output));
    }
    let mut room = Room::of(carriage);
    references.retain(|reference| room.take(*reference));
    references.sort_unstable();
    references.dedup();
    references
}

/// What is left of the room for payloads in one answer. The same payload takes its bytes each time that it is shown.
struct Room<'a> {
    left: u64,
    carriage: Carriage<'a>,
}

impl<'a> Room<'a> {
    fn of(carriage: Carriage<'a>) -> Self {
        Self {
            left: ANSWER_PAYLOAD_BYTES_MAX,
            carriage,
        }
    }

    fn take(&mut self, reference: PayloadRef) -> bool {
        if let Carriage::ByHandle(whole_bytes_max, _) = self.carriage
            && reference.bytes > whole_bytes_max
        {
            return false;
        }
        let rest = self.left.checked_sub(u64::from(reference.bytes));
        self.left = rest.unwrap_or(self.left);
        rest.is_some()
    }

    /// The payload, if there is room for it; otherwise what stands for it, if anything may.
    fn show(
        &mut self,
        payloads: &Payloads,
        reference: Option<PayloadRef>,
    ) -> Option<common::Payload> {
        let reference = reference?;
        let shown = payloads.get(&reference.id).filter(|_| self.take(reference));
        match (shown, self.carriage) {
            (Some(shown), _) => Some(payload::payload(shown.clone())),
            (None, Carriage::ByHandle(_, give)) => Some(give(reference)),
            (None, Carriage::Whole) => None,
        }
    }
}

/// A run for the wire, in full; with its steps if its plan is given, which tells what kind a closed step was.
#[must_use]
pub fn run(
    namespace: &str,
    run: &Run,
    head: &RunHead,
    payloads: &Payloads,
    standings: &Standings,
    plan: Option<&Plan>,
    carriage: Carriage<'_>,
) -> wire::Run {
    let mut room = Room::of(carriage);
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
            step::step(run, state, output, &standings.of(run, state), plan)
        })
        .collect();
    let origin = &run.origin;
    let (health, stalled_since) = health(run, standings);
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
        waiting_for: waiting_for(run, standings),
        health: health.into(),
        stalled_since: stalled_since.map(time::instant),
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
fn waiting_for(run: &Run, standings: &Standings) -> String {
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
        .take(LEAVES_SHOWN)
        .filter_map(|step| {
            let waits_for = standings.of(run, step).what_for(run, step)?;
            Some(format!("{}: {waits_for}", step.key.path))
        })
        .collect();
    texts.join("; ")
}

/// A run of which a step waits for a worker that does not exist is stuck, whatever else goes on in it.
fn health(run: &Run, standings: &Standings) -> (wire::RunHealth, Option<Timestamp>) {
    let stuck = run
        .open_steps()
        .filter_map(|step| standings.of(run, step).stuck_since())
        .min();
    match (stuck, standings.looked()) {
        (Some(since), _) => (wire::RunHealth::Stalled, Some(since)),
        (None, true) => (wire::RunHealth::Ok, None),
        (None, false) => (wire::RunHealth::Unspecified, None),
    }
}
