//! A parked lease call, and what it is answered with.

use fulcrum_core::ids::{NamespaceId, WorkerId};
use fulcrum_core::payload::Payload;
use fulcrum_core::store::{Beat, GrantedTask};
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A grant on its way to a worker.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The grant.
    pub task: GrantedTask,
    /// Its input, where it was at hand; otherwise it is read.
    pub input: Option<Payload>,
}

impl Parcel {
    /// What names the grant, to be given back.
    pub(super) fn beat(&self) -> Beat {
        Beat {
            lease: self.task.lease,
            worker: self.task.worker,
        }
    }
}

/// How a call gets its tasks.
#[derive(Debug)]
pub enum Answer {
    /// A lease call waits for the first that come. Its slots were free before.
    AtOnce(oneshot::Sender<Vec<Parcel>>),
    /// A call that hands in reports takes along at its end what has come by then. Its slots become free with the reports.
    /// The number tells it from others.
    AtTheEnd(u64),
}

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

/// A parked call.
#[derive(Debug)]
pub struct Poll {
    /// What is asked.
    pub wish: Wish,
    /// How it is answered.
    pub answer: Answer,
}

impl Poll {
    /// Is nobody there any more to be answered?
    pub(super) fn is_gone(&self) -> bool {
        match &self.answer {
            Answer::AtOnce(reply) => reply.is_closed(),
            Answer::AtTheEnd(_) => false,
        }
    }

    /// There is nothing for this call.
    pub(super) fn answer_empty(self) {
        match self.answer {
            // Whoever has gone misses nothing.
            Answer::AtOnce(reply) => drop(reply.send(Vec::new())),
            Answer::AtTheEnd(_) => {}
        }
    }
}

/// How many of these parcels, inputs alone, fit into `bytes_max`. The first always does. What is over is kept for the
/// worker's next call.
pub(super) fn fitting<'p>(
    parcels: impl Iterator<Item = &'p Parcel>,
    slots: u32,
    bytes_max: u64,
) -> usize {
    let mut room = Some(bytes_max);
    let fits = |(n, parcel): &(usize, &Parcel)| {
        room = room.and_then(|room| room.checked_sub(u64::from(parcel.task.input.bytes)));
        *n == 0 || room.is_some()
    };
    parcels
        .take(slots as usize)
        .enumerate()
        .take_while(fits)
        .count()
}
