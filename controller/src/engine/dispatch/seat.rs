//! A call's place in the hall. However the call ends, nothing that it was sent is lost.

use fulcrum_core::ids::WorkerId;
use tokio::sync::oneshot;

use super::hall::{Hall, Turned};
use super::poll::{Answer, Parcel, Poll, Wish};

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
        let (reply, answered) = oneshot::channel();
        let worker = wish.worker;
        let answer = Answer::AtOnce(reply);
        hall.park(Poll { wish, answer })?;
        Ok(Self {
            hall: hall.clone(),
            worker,
            answer: answered,
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
        let answer = Answer::AtTheEnd(number);
        hall.park(Poll { wish, answer })?;
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
