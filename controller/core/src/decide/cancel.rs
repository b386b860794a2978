//! `Cancel`: the run shall end. What is open is cancelled, `finally` blocks run, then the run is cancelled.

use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::decide::report::cut;
use crate::event::Event;
use crate::store::RunStatus;

const REASON_BYTES_MAX: usize = 4 * 1024;

pub(super) fn decide(desk: &mut Desk<'_>, reason: &str) -> Result<(), Rejection> {
    match desk.run.status {
        RunStatus::Running => {}
        RunStatus::Cancelling => {
            return Err(Rejection::Stale("the run is being cancelled already"));
        }
        RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => {
            return Err(Rejection::RunClosed(desk.run.id));
        }
    }
    let seq = desk.emit(Event::RunCancelRequested {
        reason: cut(reason, REASON_BYTES_MAX),
    });
    desk.because_of(Some(seq));
    desk.sweep()
}
