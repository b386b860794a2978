//! `AppendJournal`: a worker records operations that it has completed, so that the next grant does not repeat them.

use crate::decide::command::AppendJournal;
use crate::decide::decision::{Answer, Rejection};
use crate::decide::desk::Desk;
use crate::decide::report::leased_call;
use crate::event::{Actor, Event};
use crate::task::{Fence, TaskState};

pub(super) fn decide(desk: &mut Desk<'_>, append: &AppendJournal) -> Result<(), Rejection> {
    leased_call(desk, &append.step, append.lease, None)?;
    let holder = match desk.actor() {
        Actor::Worker(worker) => Some(*worker),
        Actor::System | Actor::Operator(_) | Actor::Client(_) | Actor::Run(_) => {
            return Err(Rejection::LeaseLost(append.lease.task));
        }
    };
    for (name, input_digest, output) in &append.operations {
        if !desk.is_new_operation(&append.step, name, input_digest)? {
            continue;
        }
        if let Err(failure) = desk.take(output) {
            let (max, actual) = (
                u64::from(desk.inputs.limits.payload_bytes_max),
                u64::from(output.reference.bytes),
            );
            debug_assert_eq!(failure.code, crate::failure::code::LIMIT_EXCEEDED);
            return Err(Rejection::LimitExceeded {
                limit: "payload_bytes_max",
                max,
                actual,
            });
        }
        desk.emit(Event::JournalRecorded {
            step: append.step.clone(),
            name: name.clone(),
            input_digest: *input_digest,
            output: output.reference,
        });
    }
    if desk.decision.events.is_empty() {
        return Err(Rejection::Stale(
            "the journal holds these operations already",
        ));
    }
    desk.decision.fences.push(Fence {
        lease: append.lease,
        holder,
        state: TaskState::Leased,
    });
    desk.decision.answer = Answer::JournalAppended;
    Ok(())
}
