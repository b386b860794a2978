//! Mail: what other runs, joins and this run itself have to say. Repeating any of it changes nothing.

use crate::decide::cancel;
use crate::decide::command::MailBody;
use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::event::{Activity, Event, StepKey};
use crate::ids::MailId;

pub(super) fn decide(desk: &mut Desk<'_>, id: MailId, body: &MailBody) -> Result<(), Rejection> {
    match body {
        MailBody::Start(_) => return Err(Rejection::AlreadyStarted(desk.run.id)),
        MailBody::JoinProgressed {
            step,
            closed,
            failed,
        } => join_progressed(desk, step, *closed, *failed)?,
        MailBody::Cancel { reason } => cancel::decide(desk, reason)?,
        MailBody::Continue => desk.continue_fan_outs()?,
    }
    desk.decision.consumed.push(id);
    Ok(())
}

fn join_progressed(
    desk: &mut Desk<'_>,
    step: &StepKey,
    closed: u32,
    failed: u32,
) -> Result<(), Rejection> {
    let state = desk.open_step(step)?;
    if !matches!(
        state.activity,
        Some(Activity::Foreach(_) | Activity::Child { .. })
    ) {
        return Err(Rejection::Stale("the step has no children"));
    }
    let (join, seq) = (state.join, state.last_seq);
    if closed <= join.closed && failed <= join.failed {
        return Err(Rejection::Stale("the join has been heard of since"));
    }
    desk.because_of(Some(seq));
    let (closed, failed) = (closed.max(join.closed), failed.max(join.failed));
    let seq = desk.emit(Event::JoinProgressed {
        step: step.clone(),
        closed,
        failed,
    });
    desk.because_of(Some(seq));
    desk.follow_join(step)
}
