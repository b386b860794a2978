//! `TimerFired`: an instant that a step waits for, or that limits it, has come.

use crate::decide::command::TimerPurpose;
use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::definition::model::OnExpiry;
use crate::event::{Activity, Event, StepKey, Verdict};
use crate::failure::{Failure, FailureClass, code};
use crate::ids::TimerId;
use crate::run::StepState;
use crate::store::{ReviewOp, TimerOp};

pub(super) fn decide(
    desk: &mut Desk<'_>,
    timer: TimerId,
    step: &StepKey,
    purpose: TimerPurpose,
) -> Result<(), Rejection> {
    let state = desk.open_step(step)?;
    let Some(activity) = state.activity.clone() else {
        return Err(Rejection::Stale("the step does nothing"));
    };
    if !is_set(desk, state, &activity, purpose) {
        return Err(Rejection::Stale("the step has no such timer"));
    }
    let (seq, timed_out, escalated) = (state.last_seq, state.timed_out, state.escalated);
    desk.because_of(Some(seq));
    desk.decision.timers.push(TimerOp::Clear { timer });
    match (purpose, activity) {
        (TimerPurpose::Wake, Activity::Sleep { .. }) => desk.complete(step, None, None),
        (TimerPurpose::Wake, Activity::Child { .. }) => desk.spawn_again(step)?,
        (TimerPurpose::Wake, Activity::Wait { signal, .. }) => {
            if desk.is_operation(step) {
                desk.complete(step, None, None);
            } else {
                let message = format!("signal `{signal}` did not come in time");
                desk.fail(step, Failure::fatal(code::WAIT_TIMEOUT, message), None);
            }
        }
        (TimerPurpose::Expiry, Activity::Review(asked)) if !escalated => {
            let verdict = Verdict::Expired(asked.on_expiry);
            let review = asked.review;
            desk.emit(Event::ReviewDecided {
                step: step.clone(),
                review,
                verdict,
                comment: None,
            });
            match asked.on_expiry {
                OnExpiry::Fail => {
                    desk.fail(
                        step,
                        Failure::fatal(code::REVIEW_EXPIRED, "nobody decided in time"),
                        None,
                    );
                }
                OnExpiry::Approve => desk.review_approved(step, &asked, None, None)?,
                OnExpiry::Reject => desk.review_rejected(step, &asked, None)?,
                OnExpiry::Escalate => desk.decision.reviews.push(ReviewOp::Escalate { review }),
            }
        }
        (TimerPurpose::Total, _) if timed_out => {
            return Err(Rejection::Stale("the step is timing out already"));
        }
        (
            TimerPurpose::Total,
            Activity::Call(_)
            | Activity::Review(_)
            | Activity::Sleep { .. }
            | Activity::Wait { .. },
        ) => {
            desk.fail(step, total_timeout(), None);
        }
        (
            TimerPurpose::Total,
            Activity::Parallel
            | Activity::Switch { .. }
            | Activity::Try
            | Activity::Foreach(_)
            | Activity::Child { .. },
        ) => {
            desk.emit(Event::StepTimedOut { step: step.clone() });
            desk.sweep()?;
        }
        (TimerPurpose::Wake | TimerPurpose::Expiry, _) => {
            return Err(Rejection::Stale("it has fired before"));
        }
    }
    Ok(())
}

/// Does the step wait for this timer at all?
fn is_set(desk: &Desk<'_>, state: &StepState, activity: &Activity, purpose: TimerPurpose) -> bool {
    match (purpose, activity) {
        (TimerPurpose::Total, _) => desk.total_timer_of(&state.key).is_some(),
        (TimerPurpose::Wake, Activity::Sleep { .. } | Activity::Wait { until: Some(_), .. }) => {
            true
        }
        // Between two attempts.
        (TimerPurpose::Wake, Activity::Child { .. }) => state.retry_at.is_some(),
        (TimerPurpose::Expiry, Activity::Review(asked)) => asked.expires_at.is_some(),
        (
            TimerPurpose::Wake | TimerPurpose::Expiry,
            Activity::Call(_)
            | Activity::Review(_)
            | Activity::Sleep { .. }
            | Activity::Wait { .. }
            | Activity::Parallel
            | Activity::Switch { .. }
            | Activity::Try
            | Activity::Foreach(_)
            | Activity::Child { .. },
        ) => false,
    }
}

/// What a step that took too long fails with.
pub(super) fn total_timeout() -> Failure {
    Failure::new(
        FailureClass::Fatal,
        code::TOTAL_TIMEOUT,
        "the step took longer than its total time",
    )
}
