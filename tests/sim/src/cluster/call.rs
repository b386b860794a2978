//! What goes over the network: the calls of workers and people, and their answers.

use std::time::Duration;

use bytes::Bytes;
use fulcrum_controller::engine::beating::Standing;
use fulcrum_controller::engine::delivery::Delivery;
use fulcrum_controller::engine::handle::EngineError;
use fulcrum_controller::engine::item::LaneError;
use fulcrum_core::decide::Rejection;
use fulcrum_core::failure::Failure;
use fulcrum_core::ids::{ReviewId, RunId, WorkerId};
use fulcrum_core::store::StoreError;
use serde_json::Value;

/// A call.
#[derive(Debug, Clone)]
pub enum Call {
    /// A worker wants tasks.
    Lease {
        /// Who.
        worker: WorkerId,
        /// How many.
        slots: u32,
        /// How long it waits.
        wait: Duration,
        /// Names the call.
        call_id: String,
    },
    /// A worker renews leases.
    Beat {
        /// Who.
        worker: WorkerId,
        /// Which.
        leases: Vec<Bytes>,
    },
    /// A worker hands in outcomes.
    Report {
        /// Who.
        worker: WorkerId,
        /// Which.
        reports: Vec<(Bytes, Outcome)>,
    },
    /// A worker records an operation of its journal.
    Append {
        /// Who.
        worker: WorkerId,
        /// Under which lease.
        lease: Bytes,
        /// The operation.
        name: String,
        /// Its result.
        output: Value,
    },
    /// Somebody starts a run.
    Start {
        /// Names the call.
        request: String,
        /// Unique among the runs of the workflow.
        key: Option<String>,
        /// The workflow.
        workflow: &'static str,
        /// The input.
        input: Value,
    },
    /// Somebody sends a signal.
    Signal {
        /// Names the call.
        request: String,
        /// To whom.
        run: RunId,
        /// The name.
        name: &'static str,
        /// What it carries.
        payload: Value,
    },
    /// Somebody decides a review.
    Decide {
        /// Names the call.
        request: String,
        /// Of which run.
        run: RunId,
        /// Which.
        review: ReviewId,
        /// What was shown.
        shown: [u8; 32],
        /// Yes or no.
        verdict: Verdict,
    },
    /// Somebody wants a run to end.
    Cancel {
        /// Names the call.
        request: String,
        /// Which.
        run: RunId,
    },
}

/// What a person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Yes,
    /// No.
    No,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It worked.
    Completed(Value),
    /// It did not.
    Failed(Failure),
    /// It waits for these.
    Parked(Vec<Wanted>),
}

/// What a parked task waits for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// A call of a capability.
    Call {
        /// The operation's name.
        name: String,
        /// The capability.
        capability: &'static str,
        /// Its input.
        input: Value,
    },
    /// A nap.
    Sleep {
        /// The operation's name.
        name: String,
        /// How long.
        span_ms: u64,
    },
}

/// What a call is called in the trace.
impl Call {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Call::Lease { .. } => "Lease",
            Call::Beat { .. } => "Beat",
            Call::Report { .. } => "Report",
            Call::Append { .. } => "Append",
            Call::Start { .. } => "Start",
            Call::Signal { .. } => "Signal",
            Call::Decide { .. } => "Decide",
            Call::Cancel { .. } => "Cancel",
        }
    }
}

/// An answer.
pub type Answer = Result<Said, Refusal>;

/// What a served call says.
#[derive(Debug, Clone)]
pub enum Said {
    /// Tasks.
    Tasks(Vec<Delivery>),
    /// Where leases stand, in order.
    Standings(Vec<Standing>),
    /// What became of reports, in order.
    Reports(Vec<Result<(), Refusal>>),
    /// The run that was started, now or earlier.
    Started(RunId),
    /// It is done.
    Done,
}

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The same call may succeed later.
    Later(String),
    /// The lease is lost.
    LeaseLost,
    /// The run is closed.
    RunClosed,
    /// There is no such run.
    RunNotFound,
    /// The review is not open any more.
    ReviewClosed,
    /// It will never succeed.
    Never(String),
}

/// The meanings that `grpc/convert/fault.rs` gives these errors.
impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::Lane(LaneError::Rejected(rejection)) => match rejection {
                Rejection::LeaseLost(_) | Rejection::Stale(_) => Refusal::LeaseLost,
                Rejection::RunClosed(_) => Refusal::RunClosed,
                Rejection::RunNotFound(_) => Refusal::RunNotFound,
                Rejection::ReviewNotOpen(_) => Refusal::ReviewClosed,
                Rejection::Needs(_)
                | Rejection::AlreadyStarted(_)
                | Rejection::WrongPlan { .. }
                | Rejection::ReviewChanged { .. }
                | Rejection::NotEditable(_)
                | Rejection::InvalidInput(_)
                | Rejection::LimitExceeded { .. }
                | Rejection::JournalConflict { .. } => Refusal::Never(text),
            },
            EngineError::Lane(
                LaneError::Overloaded | LaneError::Contended(_) | LaneError::Draining,
            ) => Refusal::Later(text),
            EngineError::Lane(LaneError::Store(error)) | EngineError::Store(error) => match error {
                StoreError::Unavailable(_)
                | StoreError::Retry(_)
                | StoreError::OutcomeUnknown(_)
                | StoreError::BlobsUnavailable { .. }
                | StoreError::Full(_) => Refusal::Later(text),
                StoreError::Corrupt { .. }
                | StoreError::CorruptPayload { .. }
                | StoreError::Newer { .. }
                | StoreError::Refused(_) => Refusal::Never(text),
            },
            EngineError::RunNotFound(_) => Refusal::RunNotFound,
            EngineError::Lane(
                LaneError::Duplicate(_) | LaneError::KeyTaken(_) | LaneError::Definition { .. },
            )
            | EngineError::RequestIdReused(_)
            | EngineError::PayloadTooLarge { .. }
            | EngineError::PayloadInvalid(_) => Refusal::Never(text),
        }
    }
}
