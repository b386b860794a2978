//! Events are the audit timeline: the only input of the fold, and nothing else writes one.
//!
//! The stored `kind` of an event is its variant index in [`Event`], and the stored body is the postcard encoding of
//! its [`Envelope`]. New kinds are appended at the end; a changed shape is a new kind. A test pins the indices.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::definition::model::{OnExpiry, OnItemFailure, OnReject, Retry, Timeouts};
use crate::failure::Failure;
use crate::ids::{ContractHash, DefinitionHash, NamespaceId, ReviewId, RunId, WorkerId};
use crate::payload::PayloadRef;
use crate::time::Timestamp;

/// The encoding's own version, stored beside each event.
pub const EVENT_SCHEMA: u16 = 1;

/// Kinds that this version knows: `0..EVENT_KINDS`. A higher one was written by a newer version.
pub const EVENT_KINDS: u16 = 26;

/// A step instance: the path of its ids from the root (`setup/invoice`) and the epoch, which rises when the step is
/// restarted, never on retry. Printed as `setup/invoice~1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// Ids joined by `/`; an operation of a task's journal is `<step>/<operation name>`.
    pub path: String,
    /// Starts at 1.
    pub epoch: u16,
}

impl StepKey {
    /// The first instance of the step at this path.
    #[must_use]
    pub fn first(path: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            epoch: 1,
        }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.path, self.epoch)
    }
}

impl fmt::Debug for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for StepKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, epoch) = text
            .rsplit_once('~')
            .ok_or_else(|| format!("`{text}` is not a step key"))?;
        let epoch = epoch
            .parse()
            .map_err(|_| format!("`{text}` is not a step key"))?;
        Ok(Self {
            path: path.to_owned(),
            epoch,
        })
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Actor {
    /// The controller itself.
    System,
    /// A person, by the name in their certificate.
    Operator(String),
    /// A program with client rights, by the name in its certificate.
    Client(String),
    /// A worker.
    Worker(WorkerId),
    /// Another run, by internal mail.
    Run(RunId),
}

/// W3C trace context, carried with runs and tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    /// Trace id.
    pub trace_id: [u8; 16],
    /// Span id of the parent.
    pub span_id: [u8; 8],
    /// W3C trace flags.
    pub flags: u8,
}

/// One timeline entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// 1, 2, 3 … without gaps in one run.
    pub seq: u64,
    /// When it was decided, by the database's clock.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The `seq` of the event that led to this one, where there is one in this run.
    pub cause: Option<u64>,
    /// Trace id of the call that led to it.
    pub trace_id: Option<[u8; 16]>,
    /// What happened.
    pub event: Event,
}

/// A position in the per-run hash chain.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChainHash(pub [u8; 32]);

impl fmt::Debug for ChainHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl ChainHash {
    /// SHA-256 over the previous hash, the stream, the sequence number, kind, schema and the exact stored body, all
    /// fixed-length but the last: no two entries can be confused.
    #[must_use]
    pub fn next(self, stream: RunId, seq: u64, kind: u16, schema: u16, body: &[u8]) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(stream.0.as_bytes());
        hash.update(seq.to_be_bytes());
        hash.update(kind.to_be_bytes());
        hash.update(schema.to_be_bytes());
        hash.update(body);
        ChainHash(hash.finalize().into())
    }
}

/// What a run was started with. Boxed in [`Event`]: it is the largest event by far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The workflow's name, for people; the hash decides.
    pub workflow: String,
    /// The pinned version.
    pub definition: DefinitionHash,
    /// Where the run enters the definition.
    pub entry: Entry,
    /// The root of the family; itself for a root run.
    pub root: RunId,
    /// The parent, for a child run.
    pub parent: Option<ParentLink>,
    /// 0 for a root run.
    pub depth: u16,
    /// The input.
    pub input: Option<PayloadRef>,
    /// Outer values seen by a `foreach` body, taken at the spawn: `steps.<id>`, `vars.<name>`, `item`, `index`.
    pub scope: BTreeMap<String, PayloadRef>,
    /// The caller's key, unique per workflow among its runs.
    pub idempotency_key: Option<String>,
    /// The trace that the run belongs to.
    pub trace: Option<TraceContext>,
}

/// Where a run enters its definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The whole workflow.
    Workflow,
    /// The body of the `foreach` step at this path, for item `index`.
    Item { path: String, index: u32 },
}

/// How a child run hangs on its parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParentLink {
    /// The parent run.
    pub run: RunId,
    /// The parent's step.
    pub step: StepKey,
    /// The child's index in the join; 0 for a `run` step.
    pub index: u32,
}

/// What an open step is doing, with everything resolved: no expression is evaluated after this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// A task is offered to workers.
    Call(Call),
    /// A person is asked.
    Review(ReviewAsked),
    /// Waits for an instant.
    Sleep { until: Timestamp },
    /// Waits for a signal.
    Wait {
        signal: String,
        until: Option<Timestamp>,
    },
    /// A `parallel` whose members run in this run.
    Parallel,
    /// A `switch` with its chosen branch: `None` is the default branch.
    Switch { case: Option<u16> },
    /// A `try`; which part runs follows from the steps.
    Try,
    /// Child runs, one per item.
    Foreach(Fanout),
    /// One child run.
    Child {
        workflow: String,
        definition: DefinitionHash,
        run: RunId,
    },
}

/// A call of a capability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The capability's name.
    pub capability: String,
    /// The contract in force when the step was scheduled; `None` when no worker has registered it yet.
    pub contract: Option<ContractHash>,
    /// The resolved input.
    pub input: PayloadRef,
    /// Retry policy.
    pub retry: Retry,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Higher is sooner.
    pub priority: i16,
    /// Does a repetition of the call, by its effect key, do no harm?
    pub repeatable: bool,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewAsked {
    /// The review's id.
    pub review: ReviewId,
    /// JSON `{ "title": …, "show": … }`; decisions are bound to its hash.
    pub content: PayloadRef,
    /// What is shown, alone: the output when approved unchanged.
    pub show: PayloadRef,
    /// May it be edited?
    pub edit: bool,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// What expiry does.
    pub on_expiry: OnExpiry,
    /// What a rejection does.
    pub on_reject: OnReject,
}

/// A fan-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fanout {
    /// The list of items.
    pub items: PayloadRef,
    /// Their number.
    pub total: u32,
    /// At most so many at once; 0 means no cap.
    pub max_parallel: u32,
    /// What a failed item does.
    pub on_item_failure: OnItemFailure,
    /// The outer values that items see.
    pub scope: BTreeMap<String, PayloadRef>,
}

/// Which grant a report came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The worker.
    pub worker: WorkerId,
    /// The lease's sequence number.
    pub lease_seq: u64,
    /// When the lease was granted.
    pub granted_at: Timestamp,
}

/// How a review ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Approved; `edited` replaces what was shown.
    Approved { edited: Option<PayloadRef> },
    /// Rejected.
    Rejected,
    /// Expired, and the branch taken.
    Expired(OnExpiry),
}

/// What happened. See the module's note before you add or change a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The run exists.
    RunStarted(Box<RunStarted>),
    /// The step's `when` was false. A skipped review passes on what it would have shown.
    StepSkipped {
        step: StepKey,
        output: Option<PayloadRef>,
    },
    /// The step began.
    StepOpened { step: StepKey, activity: Activity },
    /// The step succeeded. `grant` tells which lease's report was accepted.
    StepCompleted {
        step: StepKey,
        output: Option<PayloadRef>,
        grant: Option<Grant>,
    },
    /// An attempt failed and will be repeated at `retry_at` as attempt `attempt + 1`.
    AttemptFailed {
        step: StepKey,
        attempt: u32,
        failure: Failure,
        retry_at: Timestamp,
        grant: Option<Grant>,
    },
    /// A lease ran out and the task is offered again at `retry_at`; the attempt number stays.
    LeaseExpired {
        step: StepKey,
        grant: Grant,
        crash_count: u16,
        retry_at: Timestamp,
    },
    /// The step failed for good. `handled` when its own `on_failure: continue` absorbs it.
    StepFailed {
        step: StepKey,
        failure: Failure,
        handled: bool,
        grant: Option<Grant>,
    },
    /// The step was closed because the block or run around it ended.
    StepCancelled { step: StepKey },
    /// A review was decided or expired. `StepCompleted` or `StepFailed` of its step follows, unless it escalated.
    ReviewDecided {
        step: StepKey,
        review: ReviewId,
        verdict: Verdict,
        comment: Option<String>,
    },
    /// A signal arrived; it is kept until a `wait` takes it.
    SignalReceived {
        name: String,
        payload: Option<PayloadRef>,
    },
    /// A `wait` took the oldest kept signal of its name.
    SignalConsumed { step: StepKey, name: String },
    /// Children `from..to` of a fan-out were spawned.
    ItemsSpawned { step: StepKey, from: u32, to: u32 },
    /// So many children of the join have closed, so many of them failed.
    JoinProgressed {
        step: StepKey,
        closed: u32,
        failed: u32,
    },
    /// A variable got a value.
    VariableSet { name: String, value: PayloadRef },
    /// The run passed a named position.
    CheckpointReached { step: StepKey, name: String },
    /// A task recorded a completed operation of its journal.
    JournalRecorded {
        step: StepKey,
        name: String,
        input_digest: [u8; 32],
        output: PayloadRef,
    },
    /// A task asked for an operation that the engine carries out: the step `<step>/<name>` follows.
    JournalRequested {
        step: StepKey,
        name: String,
        input_digest: [u8; 32],
    },
    /// The task gave up its slot until one of its requested operations closes.
    StepParked { step: StepKey, grant: Grant },
    /// The parked task is offered again.
    StepResumed { step: StepKey },
    /// Somebody asked for the run to end. `finally` blocks still run.
    RunCancelRequested { reason: String },
    /// A `return` was reached: the body is being left with this output.
    RunReturning { output: Option<PayloadRef> },
    /// The run succeeded.
    RunCompleted { output: Option<PayloadRef> },
    /// The run failed.
    RunFailed { failure: Failure },
    /// The run was cancelled.
    RunCancelled { reason: String },
    /// The time for the whole step is over; what is open in it is being cancelled, and then it fails.
    StepTimedOut { step: StepKey },
    /// The still open ones among the children `from..to` of a fan-out were told to end.
    ItemsCancelled { step: StepKey, from: u32, to: u32 },
}

impl Event {
    /// The stored kind: the variant's index. Pinned by a test; never reorder.
    #[must_use]
    pub fn kind(&self) -> u16 {
        match self {
            Event::RunStarted(_) => 0,
            Event::StepSkipped { .. } => 1,
            Event::StepOpened { .. } => 2,
            Event::StepCompleted { .. } => 3,
            Event::AttemptFailed { .. } => 4,
            Event::LeaseExpired { .. } => 5,
            Event::StepFailed { .. } => 6,
            Event::StepCancelled { .. } => 7,
            Event::ReviewDecided { .. } => 8,
            Event::SignalReceived { .. } => 9,
            Event::SignalConsumed { .. } => 10,
            Event::ItemsSpawned { .. } => 11,
            Event::JoinProgressed { .. } => 12,
            Event::VariableSet { .. } => 13,
            Event::CheckpointReached { .. } => 14,
            Event::JournalRecorded { .. } => 15,
            Event::JournalRequested { .. } => 16,
            Event::StepParked { .. } => 17,
            Event::StepResumed { .. } => 18,
            Event::RunCancelRequested { .. } => 19,
            Event::RunReturning { .. } => 20,
            Event::RunCompleted { .. } => 21,
            Event::RunFailed { .. } => 22,
            Event::RunCancelled { .. } => 23,
            Event::StepTimedOut { .. } => 24,
            Event::ItemsCancelled { .. } => 25,
        }
    }

    /// The name of the kind as shown to people and in the API, for example `StepCompleted`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Event::RunStarted(_) => "RunStarted",
            Event::StepSkipped { .. } => "StepSkipped",
            Event::StepOpened { .. } => "StepOpened",
            Event::StepCompleted { .. } => "StepCompleted",
            Event::AttemptFailed { .. } => "AttemptFailed",
            Event::LeaseExpired { .. } => "LeaseExpired",
            Event::StepFailed { .. } => "StepFailed",
            Event::StepCancelled { .. } => "StepCancelled",
            Event::ReviewDecided { .. } => "ReviewDecided",
            Event::SignalReceived { .. } => "SignalReceived",
            Event::SignalConsumed { .. } => "SignalConsumed",
            Event::ItemsSpawned { .. } => "ItemsSpawned",
            Event::JoinProgressed { .. } => "JoinProgressed",
            Event::VariableSet { .. } => "VariableSet",
            Event::CheckpointReached { .. } => "CheckpointReached",
            Event::JournalRecorded { .. } => "JournalRecorded",
            Event::JournalRequested { .. } => "JournalRequested",
            Event::StepParked { .. } => "StepParked",
            Event::StepResumed { .. } => "StepResumed",
            Event::RunCancelRequested { .. } => "RunCancelRequested",
            Event::RunReturning { .. } => "RunReturning",
            Event::RunCompleted { .. } => "RunCompleted",
            Event::RunFailed { .. } => "RunFailed",
            Event::RunCancelled { .. } => "RunCancelled",
            Event::StepTimedOut { .. } => "StepTimedOut",
            Event::ItemsCancelled { .. } => "ItemsCancelled",
        }
    }
}
