//! A call's place in the hall. However the call ends, nothing that it was sent is lost.

use fulcrum_core::ids::{NamespaceId, WorkerId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::hall::{Hall, Turned};
use super::poll::{Parcel, Poll, Slots};

/// Who calls, for what.
#[derive(Debug)]
pub struct Wish {
    /// From the certificate.
    pub worker: WorkerId,
    /// In which namespace.
    pub namespace: NamespaceId,
    /// Capabilities offered and granted.
    pub capabilities: Vec<String>,
    /// Free slots.
    pub slots: u32,
    /// Where they come from.
    pub from: Slots,
    /// Names the call, so that it can be repeated; empty if it cannot.
    pub call_id: String,
    /// Answered empty at this instant.
    pub deadline: Instant,
}

/// A place in the hall.
#[derive(Debug)]
pub struct Seat {
    hall: Hall,
    worker: WorkerId,
    answer: oneshot::Receiver<Vec<Parcel>>,
}

impl Seat {
    /// Parks a call.
    pub fn take(hall: &Hall, wish: Wish) -> Result<Self, Turned> {
        let (reply, answer) = oneshot::channel();
        let worker = wish.worker;
        hall.park(Poll {
            worker,
            namespace: wish.namespace,
            capabilities: wish.capabilities,
            slots: wish.slots,
            from: wish.from,
            call_id: wish.call_id,
            deadline: wish.deadline,
            reply,
        })?;
        Ok(Self {
            hall: hall.clone(),
            worker,
            answer,
        })
    }

    /// Waits for the answer; empty when the deadline has passed or the hall closes.
    pub async fn answered(mut self) -> Vec<Parcel> {
        (&mut self.answer).await.unwrap_or_default()
    }

    /// Goes with what there is.
    #[must_use]
    pub fn leave(mut self) -> Vec<Parcel> {
        self.answer.close();
        self.answer.try_recv().unwrap_or_default()
    }
}

impl Drop for Seat {
    /// A caller that went away leaves what it was sent to the worker's next call.
    fn drop(&mut self) {
        self.answer.close();
        let left = self.answer.try_recv().unwrap_or_default();
        self.hall.leave_seat(self.worker, left);
    }
}
