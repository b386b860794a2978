//! `TaskDue`: nobody took a task in time, a worker let its lease run out, or an attempt took too long.

use crate::decide::command::TaskDue;
use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::decide::{report, retry};
use crate::event::{Activity, Call, Event, Grant};
use crate::failure::{Failure, FailureClass, code};
use crate::ids::TaskId;
use crate::task::{Due, Fence, Lease, TaskOp, TaskRow, TaskState};

pub(super) fn decide(desk: &mut Desk<'_>, due: &TaskDue) -> Result<(), Rejection> {
    let state = desk.open_step(&due.step)?;
    let Some(Activity::Call(call)) = &state.activity else {
        return Err(Rejection::Stale("the step has no task"));
    };
    let seen = &due.seen;
    if seen.task != TaskId::of_step(desk.run.id, &due.step.to_string()) {
        return Err(Rejection::Stale("the task is not the step's"));
    }
    if state.parked {
        return Err(Rejection::Stale("the task is parked"));
    }
    if (seen.attempt, seen.crash_count) != (state.attempt, state.crashes) {
        return Err(Rejection::Stale("the task was released since"));
    }
    let (mut call, seq) = (call.clone(), state.last_seq);
    call.repeatable = report::is_repeatable(desk, &call);
    desk.because_of(Some(seq));
    match (seen.due, seen.state) {
        (Due::Never, _)
        | (Due::ScheduleToStart(_), TaskState::Leased | TaskState::Parked)
        | (Due::LeaseDeadline(_) | Due::StartToClose(_), TaskState::Ready | TaskState::Parked) => {
            return Err(Rejection::Stale("the task is not due"));
        }
        (Due::ScheduleToStart(_), TaskState::Ready) => {
            let message = format!("no worker with `{}` took the task in time", call.capability);
            let failure = Failure::fatal(code::SCHEDULE_TO_START_TIMEOUT, message);
            desk.fail(&due.step, failure, None);
        }
        (Due::LeaseDeadline(_), TaskState::Leased) => lease_expired(desk, due, &call)?,
        (Due::StartToClose(_), TaskState::Leased) => {
            let class = if call.repeatable {
                FailureClass::Transient
            } else {
                FailureClass::Unknown
            };
            let message = "the attempt took longer than its start-to-close time";
            let failure = Failure::new(class, code::START_TO_CLOSE_TIMEOUT, message);
            report::attempt_failed(desk, &due.step, &call, failure, grant_of(seen));
        }
    }
    let nonce = seen.lease_nonce.unwrap_or_default();
    desk.decision.fences.push(Fence {
        lease: Lease {
            task: seen.task,
            seq: seen.lease_seq,
            nonce,
        },
        holder: None,
        state: seen.state,
    });
    Ok(())
}

fn lease_expired(desk: &mut Desk<'_>, due: &TaskDue, call: &Call) -> Result<(), Rejection> {
    let Some(grant) = grant_of(&due.seen) else {
        return Err(Rejection::Stale("the task was never granted"));
    };
    let crash_count = due.seen.crash_count.saturating_add(1);
    let max = desk.inputs.limits.crash_count_max;
    if crash_count >= max {
        let message =
            format!("{crash_count} leases of the task ran out, and crash_count_max is {max}");
        desk.fail(
            &due.step,
            Failure::fatal(code::POISON, message),
            Some(grant),
        );
    } else if !call.repeatable {
        let message = "the worker's lease ran out, and the call may have taken effect; it is not safe to repeat";
        let failure = Failure::new(FailureClass::Unknown, code::OUTCOME_UNKNOWN, message);
        desk.fail(&due.step, failure, Some(grant));
    } else {
        let delay = retry::delay(
            &call.retry,
            u32::from(crash_count),
            &due.step,
            &desk.inputs.entropy,
        );
        let retry_at = desk.now().plus(delay);
        let attempt = due.seen.attempt;
        desk.emit(Event::LeaseExpired {
            step: due.step.clone(),
            grant,
            crash_count,
            retry_at,
        });
        let op = TaskOp::Release {
            task: due.seen.task,
            ready_at: retry_at,
            attempt,
            crash_count,
        };
        desk.decision.tasks.push(op);
    }
    Ok(())
}

fn grant_of(seen: &TaskRow) -> Option<Grant> {
    Some(Grant {
        worker: seen.worker?,
        lease_seq: seen.lease_seq,
        granted_at: seen.granted_at?,
    })
}
