//! A failed call, read once: status, reason, fields, when to come back.

use std::time::Duration;

use fulcrum_proto::common::v1::{ErrorReason, ItemError};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::advice;
use crate::exit::Exit;

/// What was wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Path of the field; for definitions `line:column`.
    pub field: String,
    /// What was wrong.
    pub description: String,
}

/// Why the controller refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The documented reason (`RUN_CLOSED`), or the gRPC status where there is none.
    pub code: String,
    /// The reason, if this version knows it.
    pub reason: Option<ErrorReason>,
    /// The class of the refusal.
    pub status: Code,
    /// What happened.
    pub message: String,
    /// The fields that were wrong.
    pub fields: Vec<FieldFault>,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads a failed call.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let named = details.error_info().map(|info| info.reason.clone());
        let fields = details
            .bad_request()
            .map(|bad| bad.field_violations.clone())
            .unwrap_or_default();
        Self {
            reason: named.as_deref().and_then(ErrorReason::from_name),
            code: named.unwrap_or_else(|| grpc_name(status.code()).to_owned()),
            status: status.code(),
            message: message(status),
            fields: fields
                .into_iter()
                .map(|fault| FieldFault {
                    field: fault.field,
                    description: fault.description,
                })
                .collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }

    /// Takes over what an upload or a read of a value was refused with.
    #[must_use]
    pub fn from_sdk(refusal: fulcrum_sdk::Refusal) -> Self {
        let name = refusal.reason.map(ErrorReason::name);
        Self {
            code: name.unwrap_or_else(|| grpc_name(refusal.code)).to_owned(),
            reason: refusal.reason,
            status: refusal.code,
            message: refusal.message,
            fields: Vec::new(),
            retry_after: refusal.retry_after,
        }
    }

    /// Reads one refused item of a batched call.
    #[must_use]
    pub fn from_item(error: &ItemError) -> Self {
        let reason = error.reason();
        Self {
            code: reason.name().to_owned(),
            status: advice::status_of(reason),
            reason: Some(reason),
            message: error.message.clone(),
            fields: Vec::new(),
            retry_after: error.retry_after.and_then(|delay| delay.try_into().ok()),
        }
    }

    /// The exit code: the reason decides where the status is too coarse.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.status {
            Code::Ok => Exit::Ok,
            Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
            Code::NotFound => Exit::NotFound,
            Code::PermissionDenied | Code::Unauthenticated => Exit::Denied,
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => {
                Exit::Unavailable
            }
            Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => Exit::Conflict,
            Code::Cancelled => Exit::Interrupted,
            Code::Unknown | Code::Unimplemented | Code::Internal | Code::DataLoss => Exit::Failed,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        if let Some(delay) = self.retry_after {
            return Some(format!("try again in {}", crate::output::time::span(delay)));
        }
        match self.reason {
            Some(reason) => advice::for_reason(reason).map(str::to_owned),
            None => advice::for_status(self.status).map(str::to_owned),
        }
    }
}

/// tonic reports a broken connection as a status with a technical message; the source says more.
fn message(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = if text.is_empty() {
                more
            } else {
                format!("{text}: {more}")
            };
        }
        source = error.source();
    }
    if text.is_empty() {
        grpc_name(status.code()).to_owned()
    } else {
        text
    }
}

fn grpc_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    fn refused(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, "fulcrum", HashMap::new());
        Status::with_error_details(code, "no", details)
    }

    #[test]
    fn each_class_of_refusal_has_its_exit_code() {
        let exits = [
            (Code::InvalidArgument, 2),
            (Code::NotFound, 3),
            (Code::PermissionDenied, 4),
            (Code::Unauthenticated, 4),
            (Code::Unavailable, 5),
            (Code::ResourceExhausted, 5),
            (Code::FailedPrecondition, 6),
            (Code::AlreadyExists, 6),
            (Code::Internal, 1),
        ];
        for (code, exit) in exits {
            assert_eq!(
                Refusal::from_status(&Status::new(code, "no")).exit().code(),
                exit,
                "{code:?}"
            );
        }
    }

    #[test]
    fn a_reason_of_the_contract_is_the_code_and_brings_advice() {
        let refusal = Refusal::from_status(&refused(Code::NotFound, "RUN_NOT_FOUND"));
        assert_eq!(refusal.code, "RUN_NOT_FOUND");
        assert_eq!(refusal.reason, Some(ErrorReason::RunNotFound));
        assert!(
            refusal
                .fix()
                .is_some_and(|fix| fix.contains("fulcrum run list"))
        );
    }

    #[test]
    fn a_reason_of_a_later_version_keeps_its_name_and_falls_back_to_the_status() {
        let refusal = Refusal::from_status(&refused(Code::FailedPrecondition, "MOON_IS_FULL"));
        assert_eq!(
            (refusal.code.as_str(), refusal.reason),
            ("MOON_IS_FULL", None)
        );
        assert_eq!(refusal.exit(), Exit::Conflict);
    }

    #[test]
    fn fields_and_the_time_to_come_back_are_kept() {
        let mut details =
            ErrorDetails::with_bad_request_violation("steps[0].call", "names no capability");
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let refusal = Refusal::from_status(&Status::with_error_details(
            Code::InvalidArgument,
            "no",
            details,
        ));
        assert_eq!(refusal.fields[0].field, "steps[0].call");
        assert_eq!(refusal.fix().as_deref(), Some("try again in 1.5s"));
    }
}
