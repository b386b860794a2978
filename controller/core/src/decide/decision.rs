//! What goes into a decision and what comes out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::contract::Contract;
use crate::decide::command::Mail;
use crate::event::{Envelope, StepKey};
use crate::failure::Failure;
use crate::ids::{DefinitionHash, MailId, PayloadId, ReviewId, RunId, TaskId};
use crate::limits::Limits;
use crate::payload::{NewPayload, PayloadRef};
use crate::run::Run;
use crate::store::{JoinOp, ReviewOp, TimerOp};
use crate::task::{Fence, TaskOp};
use crate::time::Timestamp;

/// Everything a decision may look at beyond the run itself, loaded by the shell.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// Now, by the database's clock.
    pub now: Timestamp,
    /// Fresh per command; ids and jitter are derived from it.
    pub entropy: [u8; 32],
    /// Parsed payloads by id. Absent ones are asked for.
    pub payloads: BTreeMap<PayloadId, Arc<Value>>,
    /// Closed joins, by step. Absent ones are asked for.
    pub joins: BTreeMap<StepKey, JoinOutputs>,
    /// Contracts registered in the run's namespace, by capability.
    pub contracts: Arc<BTreeMap<String, Arc<Contract>>>,
    /// Newest version of each workflow that was asked for; `None` when there is no such workflow.
    pub workflows: BTreeMap<String, Option<DefinitionHash>>,
    /// Limits in force.
    pub limits: Limits,
}

/// The items of a closed join, ordered by index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JoinOutputs {
    /// One per child.
    pub items: Vec<JoinItem>,
}

/// How one child closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinItem {
    /// Its index.
    pub index: u32,
    /// Its output, if it succeeded with one.
    pub output: Option<PayloadRef>,
    /// Its failure, if it failed or was cancelled.
    pub failure: Option<Failure>,
}

/// What is missing from the inputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Payloads to load.
    pub payloads: BTreeSet<PayloadRef>,
    /// Joins whose items to load.
    pub joins: BTreeSet<StepKey>,
    /// Workflows to resolve to their newest version.
    pub workflows: BTreeSet<String>,
}

/// The outcome of a command: durable changes and the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decision {
    /// New timeline entries, in order. The fold of these onto the run is its next state.
    pub events: Vec<Envelope>,
    /// Payloads to store.
    pub payloads: Vec<NewPayload>,
    /// Leases that must still hold when this commits.
    pub fences: Vec<Fence>,
    /// Changes to tasks.
    pub tasks: Vec<TaskOp>,
    /// Changes to timers.
    pub timers: Vec<TimerOp>,
    /// Mail to other runs and to itself.
    pub mail: Vec<Mail>,
    /// Mail that is hereby consumed.
    pub consumed: Vec<MailId>,
    /// Changes to joins.
    pub joins: Vec<JoinOp>,
    /// Changes to the inbox.
    pub reviews: Vec<ReviewOp>,
    /// For the caller.
    pub answer: Answer,
}

/// A decision together with what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What is to be made durable.
    pub decision: Decision,
    /// The run as it is once that is durable: the fold of the events onto the run that was decided on.
    pub run: Run,
}

/// What the caller of a command learns, once it has committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Answer {
    /// It is done (or had been done before).
    #[default]
    Done,
    /// For `AppendJournal`: nothing more to say.
    JournalAppended,
}

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Inputs are missing; load them and decide again.
    #[error("inputs are missing")]
    Needs(Box<Needs>),
    /// There is no such run. Mail that meets this is kept: a child may be told to end before it has been told to
    /// start, because both messages are on their way.
    #[error("run {0} does not exist")]
    RunNotFound(RunId),
    /// The run exists already: a repeated start.
    #[error("run {0} exists already")]
    AlreadyStarted(RunId),
    /// The run is closed. For mail and timers this is the normal end of a late message.
    #[error("run {0} is closed")]
    RunClosed(RunId),
    /// The definition has no such entry; a mistake in Fulcrum or a run of another version.
    #[error("run {run} cannot use this plan: {problem}")]
    WrongPlan { run: RunId, problem: &'static str },
    /// The lease is not the step's open one, or the step is closed.
    #[error("the lease on task {0} is lost")]
    LeaseLost(TaskId),
    /// What the command refers to is over; a repeated or late message. Nothing is wrong.
    #[error("nothing to do: {0}")]
    Stale(&'static str),
    /// The review does not exist in this run or has been decided.
    #[error("review {0} is not open")]
    ReviewNotOpen(ReviewId),
    /// The decision was made on something other than what is asked.
    #[error("review {review} shows other content than the decision is bound to")]
    ReviewChanged { review: ReviewId },
    /// The review does not allow edits.
    #[error("review {0} does not allow edits")]
    NotEditable(ReviewId),
    /// The input does not fit the workflow's schema.
    #[error("the input does not fit the workflow's schema: {0}")]
    InvalidInput(String),
    /// A limit would be exceeded.
    #[error("{limit} is {max}; this would need {actual}")]
    LimitExceeded {
        limit: &'static str,
        max: u64,
        actual: u64,
    },
    /// A journal name was used twice in one grant or with another input.
    #[error("journal operation `{name}` of step {step}: {problem}")]
    JournalConflict {
        step: StepKey,
        name: String,
        problem: &'static str,
    },
}

impl Rejection {
    /// One payload is missing.
    pub(super) fn needs_payload(payload: PayloadRef) -> Self {
        let payloads = BTreeSet::from([payload]);
        Rejection::Needs(Box::new(Needs {
            payloads,
            ..Needs::default()
        }))
    }
}
