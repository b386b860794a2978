//! The one place that makes a `tonic::Status`.
//!
//! A [`Fault`] says who must do what: a code, a documented reason (`ErrorReason` in the contract), a message for people,
//! and where they apply, when to try again and which fields were wrong. It becomes a status with `google.rpc` details.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::reason::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// When to ask again what is refused for now. Clients spread it, so that they do not come back together.
pub const COME_BACK: Duration = Duration::from_millis(500);

/// An error on its way to a caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", .reason.name())]
pub struct Fault {
    /// The gRPC code.
    pub code: Code,
    /// The reason. Unspecified where the code says it all.
    pub reason: ErrorReason,
    /// What happened and what to do, for people.
    pub message: String,
    /// When to try again, if that helps.
    pub retry_after: Option<Duration>,
    /// Fields of the request that are wrong, with what is wrong about them.
    pub fields: Vec<(String, String)>,
    /// Facts for programs, by name.
    pub facts: Vec<(&'static str, String)>,
}

impl Fault {
    /// A fault with this code.
    pub fn new(code: Code, reason: ErrorReason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            retry_after: None,
            fields: Vec::new(),
            facts: Vec::new(),
        }
    }

    /// A field of the request is wrong. The caller must change it.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        let (field, problem) = (field.into(), problem.into());
        let mut fault = Self::new(
            Code::InvalidArgument,
            ErrorReason::InvalidRequest,
            format!("{field}: {problem}"),
        );
        fault.fields.push((field, problem));
        fault
    }

    /// No such thing, or not for this caller: the answer does not tell the two apart.
    pub fn not_found(reason: ErrorReason, what: &str, name: impl fmt::Display) -> Self {
        Self::new(
            Code::NotFound,
            reason,
            format!("there is no {what} `{name}` here"),
        )
        .fact("resource", name.to_string())
    }

    /// Not now; the same call may do later.
    pub fn unavailable(
        reason: ErrorReason,
        message: impl Into<String>,
        retry_after: Duration,
    ) -> Self {
        Self::new(Code::Unavailable, reason, message).retry_after(retry_after)
    }

    /// This controller is going; another one, or this one when it is back, may do.
    pub fn draining(what_to_do: &str) -> Self {
        let message = format!("this controller is shutting down; {what_to_do}");
        Self::unavailable(ErrorReason::Draining, message, COME_BACK)
    }

    /// A bug here. What went wrong is logged under an id that the caller gets.
    pub fn internal(what: &dyn fmt::Display) -> Self {
        let incident = uuid::Uuid::from_bytes(incident_id());
        tracing::error!(%incident, error = %what, "internal error");
        Self::new(
            Code::Internal,
            ErrorReason::Internal,
            format!("internal error; the log has it as incident {incident}"),
        )
        .fact("incident", incident.to_string())
    }

    /// With a hint when to try again.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    /// With a fact for programs.
    #[must_use]
    pub fn fact(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.facts.push((name, value.into()));
        self
    }
}

fn incident_id() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Without randomness all incidents share the id zero; that is no reason to fail a second time.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let facts: HashMap<String, String> = fault
            .facts
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let mut details = ErrorDetails::new();
        if fault.reason != ErrorReason::Unspecified {
            details.set_error_info(fault.reason.name(), ERROR_DOMAIN, facts);
        }
        if let Some(span) = fault.retry_after {
            details.set_retry_info(Some(span));
        }
        if !fault.fields.is_empty() {
            let violations: Vec<FieldViolation> = fault
                .fields
                .into_iter()
                .map(|(field, problem)| FieldViolation::new(field, problem))
                .collect();
            details.set_bad_request(violations);
        }
        Status::with_error_details(fault.code, fault.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_becomes_a_status_with_details() {
        let status: Status = Fault::field("steps[2].call", "names an unknown capability")
            .retry_after(Duration::from_secs(2))
            .into();
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let info = details.error_info().expect("error info");
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("INVALID_REQUEST", "fulcrum")
        );
        assert_eq!(
            details.retry_info().expect("retry info").retry_delay,
            Some(Duration::from_secs(2))
        );
        assert_eq!(
            details.bad_request().expect("bad request").field_violations[0].field,
            "steps[2].call"
        );
    }
}
