//! `Report`: a worker says what came of its lease. The worker reports what happened; what it means is decided here.

use crate::decide::command::{Report, ReportOutcome};
use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::decide::retry::{self, Next, Repetition};
use crate::event::{Activity, Call, Event, Grant, StepKey};
use crate::failure::{Failure, code};
use crate::ids::TaskId;
use crate::payload::NewPayload;
use crate::task::{Fence, Lease, TaskOp, TaskState};

pub(super) fn decide(desk: &mut Desk<'_>, report: &Report) -> Result<(), Rejection> {
    let call = leased_call(desk, &report.step, report.lease, Some(&report.grant))?;
    desk.decision.fences.push(Fence {
        lease: report.lease,
        holder: Some(report.grant.worker),
        state: TaskState::Leased,
    });
    match &report.outcome {
        ReportOutcome::Completed { output } => completed(desk, report, &call, output),
        ReportOutcome::Failed { failure, details } => {
            failed(desk, report, &call, failure, details.as_ref())
        }
        ReportOutcome::Parked { operations } => desk.park(&report.step, &report.grant, operations),
    }
}

/// The call that a lease is about, if its step is open and not parked. The commit checks the lease itself.
pub(super) fn leased_call(
    desk: &mut Desk<'_>,
    step: &StepKey,
    lease: Lease,
    grant: Option<&Grant>,
) -> Result<Call, Rejection> {
    let lost = Rejection::LeaseLost(lease.task);
    let Some(state) = desk.run.step(step) else {
        return Err(lost);
    };
    let same = |taken: &Grant| {
        grant
            .is_some_and(|grant| taken.worker == grant.worker && taken.lease_seq == grant.lease_seq)
    };
    let task = TaskId::of_step(desk.run.id, &step.to_string());
    if task == lease.task && state.reported.as_ref().is_some_and(same) {
        return Err(Rejection::Stale("this report was taken before"));
    }
    let Some(Activity::Call(call)) = &state.activity else {
        return Err(lost);
    };
    if task != lease.task || state.parked || desk.run.is_closed() {
        return Err(lost);
    }
    let (mut call, seq) = (call.clone(), state.last_seq);
    call.repeatable = is_repeatable(desk, &call);
    desk.because_of(Some(seq));
    Ok(call)
}

/// A call that was scheduled before any worker had registered its contract goes by the contract that there is now.
pub(super) fn is_repeatable(desk: &Desk<'_>, call: &Call) -> bool {
    let known = desk.inputs.contracts.get(&call.capability);
    call.repeatable
        || (call.contract.is_none() && known.is_some_and(|contract| contract.repeatable()))
}

fn completed(
    desk: &mut Desk<'_>,
    report: &Report,
    call: &Call,
    output: &NewPayload,
) -> Result<(), Rejection> {
    let grant = Some(report.grant.clone());
    if let Err(failure) = desk
        .take(output)
        .and_then(|()| check_output(desk, call, output))
    {
        desk.fail(&report.step, *failure, grant);
        return Ok(());
    }
    desk.complete(&report.step, Some(output.reference), grant);
    Ok(())
}

fn check_output(desk: &Desk<'_>, call: &Call, output: &NewPayload) -> Result<(), Box<Failure>> {
    let Some(contract) = desk.inputs.contracts.get(&call.capability) else {
        return Ok(());
    };
    let mismatch =
        |problem: String| Box::new(Failure::fatal(code::OUTPUT_SCHEMA_MISMATCH, problem));
    let value = output
        .value()
        .map_err(|e| mismatch(format!("the output is not JSON: {e}")))?;
    contract.check_output(&value).map_err(mismatch)
}

fn failed(
    desk: &mut Desk<'_>,
    report: &Report,
    call: &Call,
    failure: &Failure,
    details: Option<&NewPayload>,
) -> Result<(), Rejection> {
    let mut failure = trimmed(failure);
    // Details that are too large are dropped; they must not turn a failure into another one.
    failure.details = details
        .filter(|new| desk.take(new).is_ok())
        .map(|new| new.reference);
    attempt_failed(
        desk,
        &report.step,
        call,
        failure,
        Some(report.grant.clone()),
    );
    Ok(())
}

/// An attempt failed: another one, or the end of the step.
pub(super) fn attempt_failed(
    desk: &mut Desk<'_>,
    step: &StepKey,
    call: &Call,
    failure: Failure,
    grant: Option<Grant>,
) {
    let Some(state) = desk.run.step(step) else {
        return;
    };
    let (attempt, crash_count) = (state.attempt, state.crashes);
    let repetition = if call.repeatable {
        Repetition::Harmless
    } else {
        Repetition::Unsafe
    };
    match retry::judge(
        &call.retry,
        repetition,
        step,
        attempt,
        &failure,
        desk.now(),
        &desk.inputs.entropy,
    ) {
        Next::Stop => desk.fail(step, failure, grant),
        Next::Again(retry_at) => {
            let event = Event::AttemptFailed {
                step: step.clone(),
                attempt,
                failure,
                retry_at,
                grant,
            };
            desk.emit(event);
            let task = TaskId::of_step(desk.run.id, &step.to_string());
            let op = TaskOp::Release {
                task,
                ready_at: retry_at,
                attempt: attempt + 1,
                crash_count,
            };
            desk.decision.tasks.push(op);
        }
    }
}

const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 4 * 1024;

/// A worker's failure, cut to what the timeline takes.
fn trimmed(failure: &Failure) -> Failure {
    Failure {
        class: failure.class,
        code: cut(&failure.code, CODE_BYTES_MAX),
        message: cut(&failure.message, MESSAGE_BYTES_MAX),
        details: None,
        retry_after: failure.retry_after,
    }
}

pub(super) fn cut(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
