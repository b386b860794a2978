//! How a capability says that it failed. The worker says what happened; the controller decides what follows.

use std::{fmt, time::Duration};

use serde_json::Value;

/// What kind of failure was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The same request may succeed later: overload, a refused connection, 429, 503.
    Transient,
    /// The same request will not succeed, another route may: a fallback, a repair, a person.
    Recoverable,
    /// No retry and no other route will help: bad input, denied, gone.
    Fatal,
    /// It may or may not have taken effect: the reply was lost after a write. Never retried blindly.
    Unknown,
}

/// Whether the request that failed had left this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sent {
    /// Certainly not: nothing outside can have changed.
    No,
    /// Possibly, in part or whole.
    Maybe,
    /// Certainly, and the outside world answered.
    Yes,
}

/// Why a call failed. It travels to the timeline: it must hold no secret.
///
/// ```
/// use std::time::Duration;
/// use fulcrum_sdk::{Failure, Sent};
///
/// let failure = Failure::transient("HTTP_503", "billing.example answered 503")
///     .sent(Sent::Yes)
///     .retry_after(Duration::from_secs(5));
/// assert_eq!(failure.to_string(), "HTTP_503: billing.example answered 503");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What kind of failure this is.
    pub class: FailureClass,
    /// Stable name in `UPPER_SNAKE_CASE`, at most 64 bytes; retry policies and `catch` clauses match on it.
    pub code: String,
    /// What happened, for a person, at most 4 KiB; longer text is cut when it is sent.
    pub message: String,
    /// How long the failing party asked to be left alone.
    pub retry_after: Option<Duration>,
    /// Whether the request had left this machine.
    pub sent: Sent,
    /// Anything structured that helps to understand it, at most 64 KiB of JSON.
    pub details: Option<Value>,
}

impl Failure {
    /// The same request may succeed later.
    pub fn transient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Transient, code, message)
    }

    /// The same request will not succeed, another route may.
    pub fn recoverable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Recoverable, code, message)
    }

    /// Nothing will help.
    pub fn fatal(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Fatal, code, message)
    }

    /// It may or may not have taken effect.
    pub fn unknown(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FailureClass::Unknown, code, message)
    }

    /// A failure of `class`, of which it is not said whether the request was sent ([`Sent::Maybe`]).
    pub fn new(class: FailureClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            retry_after: None,
            sent: Sent::Maybe,
            details: None,
        }
    }

    /// Says whether the request had left this machine.
    #[must_use]
    pub fn sent(mut self, sent: Sent) -> Self {
        self.sent = sent;
        self
    }

    /// Says how long the failing party asked to be left alone.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Adds anything structured that helps to understand the failure.
    #[must_use]
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}
