//! The parts of a commit that live in rows of their own, and the bulk calls that never touch a run.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::decide::command::TimerPurpose;
use crate::event::{StepKey, TraceContext};
use crate::failure::Failure;
use crate::ids::{ContractHash, NamespaceId, ReviewId, RunId, TimerId, WorkerId};
use crate::payload::PayloadRef;
use crate::task::Lease;
use crate::time::Timestamp;

/// Change to a timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerOp {
    /// Fires at `at`; replaces an earlier setting.
    Set {
        timer: TimerId,
        run: RunId,
        root: RunId,
        step: StepKey,
        purpose: TimerPurpose,
        at: Timestamp,
    },
    /// No longer wanted.
    Clear { timer: TimerId },
}

/// A timer whose instant has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    /// The timer.
    pub timer: TimerId,
    /// Its run.
    pub run: RunId,
    /// The run's root.
    pub root: RunId,
    /// The step.
    pub step: StepKey,
    /// What for.
    pub purpose: TimerPurpose,
    /// When it was due.
    pub at: Timestamp,
}

/// Identity of a join: a fan-out or child step of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JoinKey {
    /// The parent run.
    pub run: RunId,
    /// Its root.
    pub root: RunId,
    /// The step.
    pub step: StepKey,
}

/// Change to a join row. At the end of a flush, if `closed >= notify_at` (or, with `notify_on_failure`, if the first
/// child failed in it) and this count was not yet announced, the parent is mailed `JoinProgressed` in the same
/// transaction: once a flush, however many children closed in it. See [`super::join`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinOp {
    /// The join begins.
    Open {
        key: JoinKey,
        notify_at: u32,
        notify_on_failure: bool,
    },
    /// The parent wants to hear at another count.
    NotifyAt { key: JoinKey, notify_at: u32 },
    /// A child closed.
    ItemClosed {
        key: JoinKey,
        index: u32,
        output: Option<PayloadRef>,
        failure: Option<Failure>,
    },
    /// The parent is done with it: row and items go. Children that close later find no row, and change nothing here.
    Close { key: JoinKey },
}

impl JoinOp {
    /// The join it is about.
    #[must_use]
    pub fn key(&self) -> &JoinKey {
        match self {
            JoinOp::Open { key, .. }
            | JoinOp::NotifyAt { key, .. }
            | JoinOp::ItemClosed { key, .. }
            | JoinOp::Close { key } => key,
        }
    }
}

/// Change to the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReviewOp {
    /// A question is open.
    Open(ReviewRow),
    /// It is decided, expired or withdrawn.
    Close { review: ReviewId },
    /// It expired with `escalate`.
    Escalate { review: ReviewId },
}

impl ReviewOp {
    /// The review it is about.
    #[must_use]
    pub fn review(&self) -> ReviewId {
        match self {
            ReviewOp::Open(row) => row.review,
            ReviewOp::Close { review } | ReviewOp::Escalate { review } => *review,
        }
    }
}

/// An open question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRow {
    /// The review.
    pub review: ReviewId,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepKey,
    /// JSON `{title, show}`.
    pub content: PayloadRef,
    /// What is shown, alone.
    pub show: PayloadRef,
    /// May it be edited?
    pub edit: bool,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// A worker's wish for tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Who asks.
    pub worker: WorkerId,
    /// In which namespace.
    pub namespace: NamespaceId,
    /// For which capabilities: offered and granted.
    pub capabilities: Vec<String>,
    /// At most so many.
    pub slots: u32,
}

/// A granted task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedTask {
    /// The fence.
    pub lease: Lease,
    /// The holder.
    pub worker: WorkerId,
    /// The lease's deadline.
    pub deadline: Timestamp,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it became ready.
    pub ready_at: Timestamp,
    /// The namespace.
    pub namespace: NamespaceId,
    /// The run.
    pub run: RunId,
    /// Its root.
    pub root: RunId,
    /// The step.
    pub step: StepKey,
    /// The capability.
    pub capability: String,
    /// The pinned contract.
    pub contract: Option<ContractHash>,
    /// The input.
    pub input: PayloadRef,
    /// The retry policy's count.
    pub attempt: u32,
    /// Must be reported by then, if `start_to_close` is set.
    pub close_by: Option<Timestamp>,
    /// For the worker's span.
    pub trace: Option<TraceContext>,
}

/// One lease in a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The lease.
    pub lease: Lease,
    /// Its holder, from the certificate.
    pub worker: WorkerId,
}

/// What a heartbeat did to one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeatOutcome {
    /// Held until then.
    Extended(Timestamp),
    /// Lost: stop work.
    Lost,
}

/// A fresh nonce is drawn by the store; named here for the reference store, which derives it.
#[must_use]
pub fn nonce_from(counter: u64) -> Uuid {
    Uuid::from_u128(0x4000_8000_0000_0000_0000_u128 << 48 | u128::from(counter))
}
