//! The state of one step.

use serde::{Deserialize, Serialize};

use crate::event::{Activity, Grant, StepKey};
use crate::failure::Failure;
use crate::payload::PayloadRef;
use crate::run::journal::JournalRecord;
use crate::run::shelf::{Keyed, Shelf};
use crate::time::Timestamp;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StepStatus {
    /// Under way.
    Open,
    /// Succeeded.
    Completed,
    /// Its `when` was false.
    Skipped,
    /// Failed, and its surroundings with it.
    Failed,
    /// Failed, and its `on_failure: continue` absorbed it.
    Absorbed,
    /// Closed because what is around it ended.
    Cancelled,
}

impl StepStatus {
    /// As expressions, the API and people see it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            StepStatus::Open => "open",
            StepStatus::Completed => "completed",
            StepStatus::Skipped => "skipped",
            StepStatus::Failed | StepStatus::Absorbed => "failed",
            StepStatus::Cancelled => "cancelled",
        }
    }

    /// May what comes after the step begin?
    #[must_use]
    pub const fn lets_pass(self) -> bool {
        match self {
            StepStatus::Completed | StepStatus::Skipped | StepStatus::Absorbed => true,
            StepStatus::Open | StepStatus::Failed | StepStatus::Cancelled => false,
        }
    }
}

/// How far a fan-out (or a child run, which is one of one item) has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct JoinProgress {
    /// Children `0..spawned` were told to start.
    pub spawned: u32,
    /// So many have closed, as far as this run has heard.
    pub closed: u32,
    /// So many of them failed.
    pub failed: u32,
    /// The open ones of `0..cancelled` were told to end.
    pub cancelled: u32,
}

/// One step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// Its key.
    pub key: StepKey,
    /// Where it stands.
    pub status: StepStatus,
    /// What it is doing, while it is open.
    pub activity: Option<Activity>,
    /// The retry policy's count, from 1.
    pub attempt: u32,
    /// Grants that ended in an expired lease.
    pub crashes: u16,
    /// When the task is offered again, after a failed attempt or an expired lease.
    pub retry_at: Option<Timestamp>,
    /// The output, when it succeeded with one.
    pub output: Option<PayloadRef>,
    /// Why it failed; while it is open, why its last attempt did.
    pub failure: Option<Failure>,
    /// The grant whose report was taken last.
    pub reported: Option<Grant>,
    /// Did its task give up its slot?
    pub parked: bool,
    /// Is its time over, with clean-up still under way?
    pub timed_out: bool,
    /// Did its review expire with `escalate`?
    pub escalated: bool,
    /// Steps directly in it that failed for good.
    pub failed_inside: u32,
    /// Steps directly in it that were cancelled.
    pub left_inside: u32,
    /// Its children, for `foreach` and `run`.
    pub join: JoinProgress,
    /// The journal of its task.
    pub journal: Shelf<JournalRecord>,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it closed.
    pub closed_at: Option<Timestamp>,
    /// `seq` of the event that opened it.
    pub opened_seq: u64,
    /// `seq` of the last event about it.
    pub last_seq: u64,
}

impl StepState {
    pub(super) fn new(key: StepKey, at: Timestamp, seq: u64) -> Self {
        Self {
            key,
            status: StepStatus::Open,
            activity: None,
            attempt: 1,
            crashes: 0,
            retry_at: None,
            output: None,
            failure: None,
            reported: None,
            parked: false,
            timed_out: false,
            escalated: false,
            failed_inside: 0,
            left_inside: 0,
            join: JoinProgress::default(),
            journal: Shelf::default(),
            opened_at: at,
            closed_at: None,
            opened_seq: seq,
            last_seq: seq,
        }
    }

    /// Is it open?
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status == StepStatus::Open
    }
}

impl Keyed for StepState {
    type Key = StepKey;

    fn key(&self) -> &StepKey {
        &self.key
    }
}
