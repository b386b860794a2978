//! Tasks: a step's work as offered to workers, and the leases under which it is done.
//!
//! `ready → leased → (parked → ready …) → gone`. Claims and heartbeats touch task rows only. A report meets two
//! conditions in one commit: the task is still leased with the reporter's [`Lease`], and the run is still at the
//! version that was decided on. An expired lease is never re-claimed; it becomes a run command.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{StepKey, TraceContext};
use crate::ids::{ContractHash, NamespaceId, RunId, TaskId, WorkerId};
use crate::payload::PayloadRef;
use crate::time::{Millis, Timestamp};

/// The fence of one grant: monotonic and random, so that neither a reset counter nor a lost commit can repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// The task.
    pub task: TaskId,
    /// Counts the grants of this task, from 1.
    pub seq: u64,
    /// Random per grant.
    pub nonce: Uuid,
}

/// A lease together with its holder, checked inside the commit.
///
/// With a holder: the task is leased, with this sequence number and nonce, to that worker. Without one, the controller
/// itself acts on a task that it saw to be due: the task is still in the state that was seen, with this `lease.seq`
/// (which a release keeps), and its due instant has still passed (a heartbeat in between makes the fence fail). The
/// nonce is not looked at then: a task that was never granted has none, and `Uuid::nil()` stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// The lease.
    pub lease: Lease,
    /// Who must hold it; `None` when the controller itself acts on an observed task.
    pub holder: Option<WorkerId>,
    /// The state in which the task must be: leased, where there is a holder.
    pub state: TaskState,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskState {
    /// Offered from `ready_at` on.
    Ready,
    /// Held by a worker.
    Leased,
    /// Waiting for its operations; holds no slot.
    Parked,
}

/// A task that a decision creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Derived from (run, step key).
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// Its root.
    pub root: RunId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The step.
    pub step: StepKey,
    /// What workers must offer.
    pub capability: String,
    /// The pinned contract.
    pub contract: Option<ContractHash>,
    /// The input.
    pub input: PayloadRef,
    /// Higher is sooner.
    pub priority: i16,
    /// Not offered before.
    pub ready_at: Timestamp,
    /// The retry policy's count, from 1.
    pub attempt: u32,
    /// From ready to granted.
    pub schedule_to_start: Option<Millis>,
    /// From granted to reported.
    pub start_to_close: Option<Millis>,
    /// For the worker's span.
    pub trace: Option<TraceContext>,
}

/// What a decision does to a task. Ops on one task in one commit are merged to the last that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most operations of a decision are creations; a box each would cost more"
)]
pub enum TaskOp {
    /// Offer it.
    Create(NewTask),
    /// Offer it again: `leased → ready` from `ready_at` on, with this attempt number and crash count.
    Release {
        task: TaskId,
        ready_at: Timestamp,
        attempt: u32,
        crash_count: u16,
    },
    /// `leased → parked`.
    Park { task: TaskId },
    /// `parked → ready`, now.
    Resume { task: TaskId },
    /// Gone.
    Remove { task: TaskId },
}

impl TaskOp {
    /// The task it is about.
    #[must_use]
    pub fn task(&self) -> TaskId {
        match self {
            TaskOp::Create(new) => new.task,
            TaskOp::Release { task, .. }
            | TaskOp::Park { task }
            | TaskOp::Resume { task }
            | TaskOp::Remove { task } => *task,
        }
    }
}

/// A new task that its own commit leases to a worker with a free slot, instead of offering it: the direct hand-off.
/// The task's `ready_at` must have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOff {
    /// The task; the same commit creates it.
    pub task: TaskId,
    /// Who gets it.
    pub worker: WorkerId,
    /// Random, drawn by the controller.
    pub nonce: Uuid,
    /// How long the lease lasts, from the database's clock in the commit.
    pub lease: Millis,
}

/// A task as it stands in the store: what the reaper sees and tests compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow {
    /// The task.
    pub task: TaskId,
    /// The run.
    pub run: RunId,
    /// Its root.
    pub root: RunId,
    /// The step.
    pub step: StepKey,
    /// Where it stands.
    pub state: TaskState,
    /// The retry policy's count.
    pub attempt: u32,
    /// Grants so far.
    pub lease_seq: u64,
    /// Nonce of the last grant.
    pub lease_nonce: Option<Uuid>,
    /// Holder of the last grant.
    pub worker: Option<WorkerId>,
    /// When the last grant was made.
    pub granted_at: Option<Timestamp>,
    /// Grants that ended in an expired lease.
    pub crash_count: u16,
    /// Why it is due.
    pub due: Due,
}

/// The next instant at which the reaper must look at a task, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing to watch (ready without a limit, parked).
    Never,
    /// `schedule_to_start` runs out.
    ScheduleToStart(Timestamp),
    /// The lease runs out.
    LeaseDeadline(Timestamp),
    /// `start_to_close` runs out.
    StartToClose(Timestamp),
}
