//! A call's place in the hall. However the call ends, nothing that it was sent is lost.

use fulcrum_core::ids::{NamespaceId, WorkerId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::hall::{Hall, Turned};
use super::poll::{Answer, Parcel, Poll};

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
    /// Names the call, so that it can be repeated; empty if it cannot.
    pub call_id: String,
    /// Answered empty at this instant.
    pub deadline: Instant,
}

impl Wish {
    fn poll(self, answer: Answer) -> Poll {
        Poll {
            worker: self.worker,
            namespace: self.namespace,
            capabilities: self.capabilities,
            slots: self.slots,
            call_id: self.call_id,
            deadline: self.deadline,
            answer,
        }
    }
}

/// The place of a lease call: it leaves with the first tasks that come.
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
        hall.park(wish.poll(Answer::AtOnce(reply)))?;
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
}

impl Drop for Seat {
    /// A caller that went away leaves what it was sent to the worker's next call.
    fn drop(&mut self) {
        self.answer.close();
        let left = self.answer.try_recv().unwrap_or_default();
        self.hall.leave_seat(self.worker, left);
    }
}

/// The place of a call that hands in reports: it leaves, when they are in, with what has come by then.
#[derive(Debug)]
pub struct ReportSeat {
    hall: Hall,
    worker: WorkerId,
    number: u64,
}

impl ReportSeat {
    /// Parks a call.
    pub fn take(hall: &Hall, wish: Wish) -> Result<Self, Turned> {
        let (worker, number) = (wish.worker, hall.number());
        hall.park(wish.poll(Answer::AtTheEnd(number)))?;
        Ok(Self {
            hall: hall.clone(),
            worker,
            number,
        })
    }

    /// Goes with what there is.
    #[must_use]
    pub fn leave(self) -> Vec<Parcel> {
        self.hall.leave_with(self.worker, self.number)
    }
}

impl Drop for ReportSeat {
    fn drop(&mut self) {
        self.hall.leave_without(self.worker, self.number);
    }
}
