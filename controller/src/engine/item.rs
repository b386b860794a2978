//! What travels through a lane: a command, where it belongs, and who waits for the answer.

use fulcrum_core::decide::{Answer, Command, Rejection};
use fulcrum_core::ids::{NamespaceId, RunId};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{RequestRecord, StoreError};
use tokio::sync::oneshot;

/// A command on its way to a decision.
#[derive(Debug)]
pub struct Item {
    /// The command.
    pub command: Command,
    /// The root of its run: chooses the lane.
    pub root: RunId,
    /// The client's request id, to be stored with the commit.
    pub request: Option<PendingRequest>,
    /// Who waits. Internal commands (timers, mail, the reaper) have nobody.
    pub reply: Option<oneshot::Sender<Result<Accepted, LaneError>>>,
    /// How often it was decided again after losing a race.
    pub conflicts: u8,
}

/// A request id that the commit shall remember.
#[derive(Debug, Clone)]
pub struct PendingRequest {
    /// The namespace.
    pub namespace: NamespaceId,
    /// Shard and id.
    pub key: RequestKey,
    /// SHA-256 of method and body.
    pub digest: [u8; 32],
}

/// A committed command.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The core's answer.
    pub answer: Answer,
    /// The run's version after the commit.
    pub version: u64,
}

/// Why a command was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LaneError {
    /// The core refused; nothing changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The request id was answered before.
    #[error("request id `{}` was answered before", .0.key.id)]
    Duplicate(Box<RequestRecord>),
    /// Another run of this workflow has the idempotency key.
    #[error("the idempotency key belongs to run {0}")]
    KeyTaken(RunId),
    /// The lane's queue is full: the caller should come back later.
    #[error("this controller has as much work queued as it accepts")]
    Overloaded,
    /// The controller is shutting down.
    #[error("this controller is shutting down")]
    Draining,
    /// The database did not take the commit; a repeated call is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run lost too many races in a row.
    #[error("run {0} is contended; try again")]
    Contended(RunId),
    /// The run's definition is missing or does not load.
    #[error("the definition of run {run} cannot be used: {problem}")]
    Definition {
        /// The run.
        run: RunId,
        /// What is wrong.
        problem: String,
    },
}

impl Item {
    /// An internal command that nobody waits for.
    #[must_use]
    pub fn internal(command: Command, root: RunId) -> Self {
        Self {
            command,
            root,
            request: None,
            reply: None,
            conflicts: 0,
        }
    }

    /// Tells whoever waits.
    pub fn answer(self, result: Result<Accepted, LaneError>) {
        if let Some(reply) = self.reply {
            // A caller that went away learns the outcome by asking again.
            let _gone = reply.send(result);
        }
    }
}
