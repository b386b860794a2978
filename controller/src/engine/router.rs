//! Bounded lanes, chosen by hash of the root run.

use std::sync::Arc;

use fulcrum_core::decide::{Command, Rejection};
use fulcrum_core::ids::RunId;
use tokio::sync::{mpsc, oneshot};

use super::item::{Accepted, Item, LaneError, PendingRequest};

/// Routes commands to lanes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Router {
    lanes: Arc<[mpsc::Sender<Item>]>,
}

impl Router {
    /// A router over these lanes; at least one.
    #[must_use]
    pub fn new(lanes: Vec<mpsc::Sender<Item>>) -> Self {
        assert!(!lanes.is_empty(), "a router needs a lane");
        Self {
            lanes: lanes.into(),
        }
    }

    /// Queues a command, or refuses it when the queue is full; what is given waits until it has committed or was refused.
    pub fn submit(
        &self,
        command: Command,
        root: RunId,
        request: Option<PendingRequest>,
    ) -> impl Future<Output = Result<Accepted, LaneError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let item = Item {
            command,
            root,
            request,
            reply: Some(reply),
            conflicts: 0,
        };
        let queued = self.lane(root).try_send(item).map_err(refusal);
        async move {
            queued?;
            answer.await.unwrap_or(Err(LaneError::Draining))
        }
    }

    /// Queues an internal command if there is room. What finds no room is found again by the loops.
    pub fn offer(&self, command: Command, root: RunId) -> Result<(), LaneError> {
        self.lane(root)
            .try_send(Item::internal(command, root))
            .map_err(refusal)
    }

    /// Queues an internal command and waits for its outcome, however full the lane: for loops, which must not outrun
    /// the lanes.
    pub async fn settle(&self, command: Command, root: RunId) -> Result<Settled, LaneError> {
        let (reply, answer) = oneshot::channel();
        let item = Item {
            command,
            root,
            request: None,
            reply: Some(reply),
            conflicts: 0,
        };
        self.lane(root)
            .send(item)
            .await
            .map_err(|_| LaneError::Draining)?;
        match answer.await.unwrap_or(Err(LaneError::Draining)) {
            Ok(_) => Ok(Settled::Committed),
            Err(LaneError::Rejected(
                Rejection::Stale(_)
                | Rejection::RunClosed(_)
                | Rejection::AlreadyStarted(_)
                | Rejection::LeaseLost(_),
            )) => Ok(Settled::Meaningless),
            Err(e) => Err(e),
        }
    }

    fn lane(&self, root: RunId) -> &mpsc::Sender<Item> {
        // The low bits of an id are random; the modulus spreads roots evenly.
        let index = (root.0.as_u128() % self.lanes.len() as u128) as usize;
        &self.lanes[index]
    }
}

/// How an internal command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It changed the run.
    Committed,
    /// It came too late to mean anything; what carried it can be thrown away.
    Meaningless,
}

fn refusal(error: mpsc::error::TrySendError<Item>) -> LaneError {
    match error {
        mpsc::error::TrySendError::Full(_) => LaneError::Overloaded,
        mpsc::error::TrySendError::Closed(_) => LaneError::Draining,
    }
}
