//! Commands: what the shell asks of a run. Imperative; each is idempotent or fenced.

use crate::event::{Actor, Entry, Grant, ParentLink, StepKey, TraceContext};
use crate::failure::Failure;
use crate::ids::{DefinitionHash, MailId, NamespaceId, ReviewId, RunId, TimerId};
use crate::payload::{NewPayload, PayloadRef};
use crate::task::Lease;
use crate::time::Timestamp;
use std::collections::BTreeMap;

/// A command with who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The run it is for.
    pub run: RunId,
    /// Who asks.
    pub actor: Actor,
    /// The trace of the asking call.
    pub trace: Option<TraceContext>,
    /// What is asked.
    pub kind: CommandKind,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandKind {
    /// Create and start the run.
    Start(Box<Start>),
    /// A worker reports on its lease.
    Report(Box<Report>),
    /// A worker records completed operations of its task's journal.
    AppendJournal(AppendJournal),
    /// The reaper found a task past its `due_at`.
    TaskDue(TaskDue),
    /// A timer's instant has passed.
    TimerFired {
        timer: TimerId,
        step: StepKey,
        purpose: TimerPurpose,
    },
    /// Somebody sends a signal.
    Signal {
        name: String,
        payload: Option<NewPayload>,
    },
    /// Somebody decides a review.
    DecideReview(Box<DecideReview>),
    /// Somebody wants the run to end.
    Cancel { reason: String },
    /// Internal mail.
    Mail { id: MailId, body: MailBody },
}

/// Everything needed to start a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Start {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The workflow's name.
    pub workflow: String,
    /// The pinned version.
    pub definition: DefinitionHash,
    /// Where the run enters the definition.
    pub entry: Entry,
    /// The root of the family.
    pub root: RunId,
    /// The parent, for a child.
    pub parent: Option<ParentLink>,
    /// 0 for a root run.
    pub depth: u16,
    /// The input, already stored or carried in `new_payload`.
    pub input: Option<PayloadRef>,
    /// The input's bytes when they come with the command (root runs).
    #[serde(skip)]
    pub new_payload: Option<NewPayload>,
    /// Outer values for a `foreach` item.
    pub scope: BTreeMap<String, PayloadRef>,
    /// The caller's key.
    pub idempotency_key: Option<String>,
    /// The trace that the run belongs to.
    pub trace: Option<TraceContext>,
}

/// A worker's report on a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The step.
    pub step: StepKey,
    /// The lease that the worker holds; the commit checks it against the task row.
    pub lease: Lease,
    /// For the timeline.
    pub grant: Grant,
    /// What happened.
    pub outcome: ReportOutcome,
}

/// What happened to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// It worked.
    Completed { output: NewPayload },
    /// It did not.
    Failed {
        failure: Failure,
        details: Option<NewPayload>,
    },
    /// It waits for these operations and gives up its slot. Operations that the journal already holds are allowed
    /// (a repeated report); with none outstanding the task is offered again at once.
    Parked { operations: Vec<Operation> },
}

/// An operation that the engine carries out for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Unique in the task; `[A-Za-z0-9_.:-]{1,128}`.
    pub name: String,
    /// SHA-256 of the operation's input as the worker computes it; must not change between grants.
    pub input_digest: [u8; 32],
    /// What to do.
    pub request: OperationRequest,
}

/// What to do for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationRequest {
    /// Call a capability as a child step.
    Call {
        capability: String,
        input: NewPayload,
    },
    /// Wait until an instant.
    SleepUntil { at: Timestamp },
    /// Wait for a span from now.
    Sleep { span: crate::time::Millis },
    /// Ask a person.
    Review {
        title: String,
        show: NewPayload,
        edit: bool,
        expires: Option<crate::time::Millis>,
    },
    /// Wait for a signal.
    WaitSignal {
        signal: String,
        timeout: Option<crate::time::Millis>,
    },
}

/// Completed operations for a task's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendJournal {
    /// The step.
    pub step: StepKey,
    /// The lease that the worker holds.
    pub lease: Lease,
    /// The operations: name, input digest, result.
    pub operations: Vec<(String, [u8; 32], NewPayload)>,
}

/// A task past its `due_at`, as the reaper saw it. The commit checks that it is still so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDue {
    /// The step.
    pub step: StepKey,
    /// The task as seen.
    pub seen: crate::task::TaskRow,
}

/// What a timer is for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum TimerPurpose {
    /// A `sleep` or `until` ends, or a `wait` gives up.
    Wake,
    /// The step's total time is over.
    Total,
    /// A review expires.
    Expiry,
}

impl TimerPurpose {
    /// The name used in derived timer ids and in the timers table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TimerPurpose::Wake => "wake",
            TimerPurpose::Total => "total",
            TimerPurpose::Expiry => "expiry",
        }
    }
}

/// A decision on a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecideReview {
    /// The review.
    pub review: ReviewId,
    /// Yes or no.
    pub approve: Approve,
    /// Hash of the content that was shown; must match what the review asks.
    pub shown: [u8; 32],
    /// For the timeline, at most 4 KiB.
    pub comment: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approve {
    /// Yes, possibly with an edited version.
    Yes { edited: Option<NewPayload> },
    /// No.
    No,
}

/// What one run tells another.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum MailBody {
    /// Start this child.
    Start(Box<Start>),
    /// The join of a step has come so far.
    JoinProgressed {
        step: StepKey,
        closed: u32,
        failed: u32,
    },
    /// The parent ended or gave the step up.
    Cancel { reason: String },
    /// A run's note to itself: go on with what one commit could not hold (spawning, cancelling).
    Continue,
}

/// Mail as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Identity: the same occasion gives the same id.
    pub id: MailId,
    /// The addressee.
    pub to: RunId,
    /// The addressee's root: lanes and shards follow it.
    pub root: RunId,
    /// The sender.
    pub from: RunId,
    /// The content.
    pub body: MailBody,
}
