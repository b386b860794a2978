//! Failure is a value: the worker reports what happened, the controller decides what it means.

use serde::{Deserialize, Serialize};

use crate::payload::PayloadRef;
use crate::time::Millis;

/// What a failure calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// May go away by itself: retry on the curve.
    Transient,
    /// Another route may do it.
    Recoverable,
    /// Will not go away: stop.
    Fatal,
    /// The outcome of a write is not known: never retried blindly unless the capability is idempotent.
    Unknown,
}

/// A failure as the timeline records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it calls for.
    pub class: FailureClass,
    /// A stable code, `UPPER_SNAKE`; policies match on it. At most 64 bytes.
    pub code: String,
    /// For people. At most 4 KiB; longer text is cut.
    pub message: String,
    /// Details beyond the message, if the worker gave any.
    pub details: Option<PayloadRef>,
    /// How long the far side asked to be left alone.
    pub retry_after: Option<Millis>,
}

/// Codes that the engine itself gives.
pub mod code {
    /// A worker let a lease run out.
    pub const LEASE_EXPIRED: &str = "LEASE_EXPIRED";
    /// The task killed too many workers.
    pub const POISON: &str = "POISON";
    /// A lease ran out while a write that is not idempotent may have happened.
    pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
    /// No worker started the task in time.
    pub const SCHEDULE_TO_START_TIMEOUT: &str = "SCHEDULE_TO_START_TIMEOUT";
    /// An attempt ran too long.
    pub const START_TO_CLOSE_TIMEOUT: &str = "START_TO_CLOSE_TIMEOUT";
    /// The step took too long over all its attempts.
    pub const TOTAL_TIMEOUT: &str = "TOTAL_TIMEOUT";
    /// An expression could not be evaluated.
    pub const EXPRESSION_FAILED: &str = "EXPRESSION_FAILED";
    /// An output breaks the capability's schema.
    pub const OUTPUT_SCHEMA_MISMATCH: &str = "OUTPUT_SCHEMA_MISMATCH";
    /// An input breaks the capability's or the workflow's schema.
    pub const INPUT_SCHEMA_MISMATCH: &str = "INPUT_SCHEMA_MISMATCH";
    /// A person said no.
    pub const REJECTED: &str = "REJECTED";
    /// A review expired.
    pub const REVIEW_EXPIRED: &str = "REVIEW_EXPIRED";
    /// A wait ended without its signal.
    pub const WAIT_TIMEOUT: &str = "WAIT_TIMEOUT";
    /// A child run failed.
    pub const CHILD_FAILED: &str = "CHILD_FAILED";
    /// The run was cancelled.
    pub const CANCELLED: &str = "CANCELLED";
    /// A limit was hit; the message names it.
    pub const LIMIT_EXCEEDED: &str = "LIMIT_EXCEEDED";
    /// A journal name was used twice, or with another input.
    pub const JOURNAL_CONFLICT: &str = "JOURNAL_CONFLICT";
    /// A workflow to run does not exist.
    pub const UNKNOWN_WORKFLOW: &str = "UNKNOWN_WORKFLOW";
    /// What a task needs is missing from the database, or does not match its hash.
    pub const DATA_CORRUPT: &str = "DATA_CORRUPT";
}

impl Failure {
    /// A failure of the engine's own making.
    #[must_use]
    pub fn new(class: FailureClass, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.to_owned(),
            message: message.into(),
            details: None,
            retry_after: None,
        }
    }

    /// A fatal failure of the engine's own making.
    #[must_use]
    pub fn fatal(code: &str, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Fatal, code, message)
    }
}
