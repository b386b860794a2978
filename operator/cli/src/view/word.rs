//! The words for the contract's enumerations, as they are printed and typed.

use fulcrum_proto::admin::v1::{Verdict, WorkerState};
use fulcrum_proto::common::v1::{EffectClass, FailureClass, Idempotency, IdentityKind};
use fulcrum_proto::review::v1::ReviewState;
use fulcrum_proto::workflow::v1::{RunHealth, RunStatus, Severity, StepKind, StepStatus};

use crate::output::style::Tone;

/// A value of an enumeration that has a word.
pub trait Word {
    /// The word: lower case, one word.
    fn word(self) -> &'static str;
}

macro_rules! words {
    ($type:ty { $($variant:ident => $word:literal),+ $(,)? }) => {
        impl Word for $type {
            fn word(self) -> &'static str {
                match self {
                    $(<$type>::$variant => $word,)+
                }
            }
        }
    };
}

words!(RunStatus {
    Unspecified => "unknown",
    Running => "running",
    Paused => "paused",
    Cancelling => "cancelling",
    Completed => "completed",
    Failed => "failed",
    Cancelled => "cancelled",
});

words!(RunHealth {
    Unspecified => "",
    Ok => "ok",
    Stalled => "stalled",
});

words!(Verdict {
    Unspecified => "unknown",
    Ok => "ok",
    Warn => "warn",
    Bad => "bad",
});

words!(StepStatus {
    Unspecified => "unknown",
    Pending => "pending",
    Ready => "ready",
    Running => "running",
    Waiting => "waiting",
    Completed => "completed",
    Failed => "failed",
    Skipped => "skipped",
    Cancelled => "cancelled",
});

words!(StepKind {
    Unspecified => "unknown",
    Call => "call",
    Agent => "agent",
    Review => "review",
    Sleep => "sleep",
    Wait => "wait",
    Parallel => "parallel",
    Foreach => "foreach",
    Switch => "switch",
    Try => "try",
    Run => "run",
    Checkpoint => "checkpoint",
    Set => "set",
    Return => "return",
    Fail => "fail",
});

words!(ReviewState {
    Unspecified => "unknown",
    Open => "open",
    Approved => "approved",
    Rejected => "rejected",
    Expired => "expired",
    Withdrawn => "withdrawn",
});

words!(WorkerState {
    Unspecified => "unknown",
    Connected => "connected",
    Disconnected => "disconnected",
    Revoked => "revoked",
});

words!(IdentityKind {
    Unspecified => "unknown",
    Executor => "executor",
    Connector => "connector",
    Operator => "operator",
});

words!(EffectClass {
    Unspecified => "unknown",
    Read => "read",
    Reversible => "reversible",
    Irreversible => "irreversible",
    Outward => "outward",
});

words!(Idempotency {
    Unspecified => "none",
    Natural => "natural",
    Keyed => "keyed",
    None => "none",
});

words!(FailureClass {
    Unspecified => "unknown",
    Transient => "transient",
    Recoverable => "recoverable",
    Fatal => "fatal",
    Unknown => "unknown",
});

words!(Severity {
    Unspecified => "note",
    Error => "error",
    Warning => "warning",
});

/// How a status looks.
#[must_use]
pub fn run_tone(status: RunStatus) -> Tone {
    match status {
        RunStatus::Completed => Tone::Good,
        RunStatus::Failed => Tone::Bad,
        RunStatus::Paused | RunStatus::Cancelling => Tone::Warn,
        RunStatus::Cancelled | RunStatus::Unspecified => Tone::Faint,
        RunStatus::Running => Tone::Busy,
    }
}

/// How a step's status looks.
#[must_use]
pub fn step_tone(status: StepStatus) -> Tone {
    match status {
        StepStatus::Completed => Tone::Good,
        StepStatus::Failed => Tone::Bad,
        StepStatus::Running => Tone::Busy,
        StepStatus::Ready | StepStatus::Waiting => Tone::Warn,
        StepStatus::Pending
        | StepStatus::Skipped
        | StepStatus::Cancelled
        | StepStatus::Unspecified => Tone::Faint,
    }
}

/// Whether a run in this status can still change.
#[must_use]
pub fn is_closed(status: RunStatus) -> bool {
    match status {
        RunStatus::Completed | RunStatus::Failed | RunStatus::Cancelled => true,
        RunStatus::Unspecified | RunStatus::Running | RunStatus::Paused | RunStatus::Cancelling => {
            false
        }
    }
}
