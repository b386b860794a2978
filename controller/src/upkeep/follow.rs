//! What the engine's ticks mean to those who are not the engine: the roll of identities, and this controller's place
//! among the others.

use std::sync::Arc;

use fulcrum_core::store::Attendance;
use fulcrum_store::continuity::Watermark;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::tick::Tidings;
use crate::identity::Roll;

/// Goes by what ticks find.
pub struct Follow {
    /// What the last tick found.
    pub tidings: watch::Receiver<Tidings>,
    /// Confirmed when nothing has changed; read again otherwise.
    pub roll: Arc<Roll>,
    /// Wakes the loop of attendance.
    pub attend: Arc<Notify>,
    /// Breaks that are to be written down.
    pub watermark: Watermark,
}

impl Follow {
    /// Follows until `stop`.
    pub async fn until(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                changed = self.tidings.changed() => if changed.is_err() {
                    return;
                }
            }
            let tidings = *self.tidings.borrow_and_update();
            self.heed(tidings);
        }
    }

    fn heed(&self, tidings: Tidings) {
        if tidings.revisions.identities == self.roll.revision() {
            self.roll.confirm(tidings.asked_at);
        } else {
            self.roll.wanted().notify_one();
        }
        match tidings.attendance {
            Attendance::Overdue => self.attend.notify_one(),
            Attendance::Fresh | Attendance::Unasked => {}
        }
        if self.watermark.has_unrecorded() {
            self.attend.notify_one();
        }
    }
}
