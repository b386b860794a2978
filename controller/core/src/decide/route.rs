//! From a command to its file.

use crate::decide::command::{Command, CommandKind, MailBody};
use crate::decide::decision::{Decided, Inputs, Rejection};
use crate::decide::desk::Desk;
use crate::decide::{
    append_journal, cancel, decide_review, mail, report, signal, start, task_due, timer_fired,
};
use crate::definition::plan::Plan;
use crate::invariants::{self, Scene};
use crate::run::Run;

/// Decides a command. `run` is `None` when the run does not exist; `plan` is that of the run's pinned definition.
///
/// Pure: the same arguments give the same bytes. The returned run is the fold of the decision's events, so that the
/// next command of the same run can be decided at once.
///
/// # Errors
/// See [`Rejection`]; nothing has changed then.
pub fn decide(
    run: Option<&Run>,
    plan: &Plan,
    command: &Command,
    inputs: &Inputs,
) -> Result<Decided, Rejection> {
    let decided = dispatch(run, plan, command, inputs)?;
    if cfg!(debug_assertions) {
        let broken = invariants::broken(Scene {
            before: run,
            decision: &decided.decision,
            after: &decided.run,
        });
        assert!(
            broken.is_empty(),
            "{broken:?} after {command:?}: {decided:#?}"
        );
    }
    Ok(decided)
}

fn dispatch(
    run: Option<&Run>,
    plan: &Plan,
    command: &Command,
    inputs: &Inputs,
) -> Result<Decided, Rejection> {
    let run = match (run, &command.kind) {
        (None, CommandKind::Start(start)) => return start::decide(start, plan, command, inputs),
        (
            None,
            CommandKind::Mail {
                id,
                body: MailBody::Start(start),
            },
        ) => {
            let mut decided = start::decide(start, plan, command, inputs)?;
            decided.decision.consumed.push(*id);
            return Ok(decided);
        }
        (
            Some(run),
            CommandKind::Start(_)
            | CommandKind::Mail {
                body: MailBody::Start(_),
                ..
            },
        ) => {
            return Err(Rejection::AlreadyStarted(run.id));
        }
        (Some(run), _) => run,
        (None, _) => return Err(Rejection::RunNotFound(command.run)),
    };
    if plan.hash != run.origin.definition {
        return Err(Rejection::WrongPlan {
            run: run.id,
            problem: "it is pinned to another definition",
        });
    }
    let mut desk = Desk::new(run.clone(), plan, command, inputs);
    match &command.kind {
        // A repeated report of a closed run gets the answer that the first one got.
        CommandKind::Report(report) => report::decide(&mut desk, report)?,
        _ if run.is_closed() => return Err(Rejection::RunClosed(run.id)),
        CommandKind::Start(_) => return Err(Rejection::AlreadyStarted(run.id)),
        CommandKind::AppendJournal(append) => append_journal::decide(&mut desk, append)?,
        CommandKind::TaskDue(due) => task_due::decide(&mut desk, due)?,
        CommandKind::TimerFired {
            timer,
            step,
            purpose,
        } => timer_fired::decide(&mut desk, *timer, step, *purpose)?,
        CommandKind::Signal { name, payload } => signal::decide(&mut desk, name, payload.as_ref())?,
        CommandKind::DecideReview(decision) => decide_review::decide(&mut desk, decision)?,
        CommandKind::Cancel { reason } => cancel::decide(&mut desk, reason)?,
        CommandKind::Mail { id, body } => mail::decide(&mut desk, *id, body)?,
    }
    desk.finish()
}
