//! What a failed call means to its caller.

use std::{error::Error as _, fmt, time::Duration};

use fulcrum_proto::{common::v1::ErrorReason, reason::ERROR_DOMAIN};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::causes;

/// A failed call: what was refused, why, and whether to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC status code.
    pub code: Code,
    /// The documented reason; `None` if the answer carried none, as when there was no connection.
    pub reason: Option<ErrorReason>,
    /// What happened, for a person.
    pub message: String,
    /// How long the controller asked to wait.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Whether the same call may succeed later: there was no connection, or the controller is busy or leaving.
    pub fn is_temporary(&self) -> bool {
        match self.code {
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => false,
            // Internal and Unknown also stand for broken streams, DataLoss for broken frames.
            Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => true,
        }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details
            .error_info()
            .filter(|info| info.domain == ERROR_DOMAIN)
            .and_then(|info| ErrorReason::from_name(&info.reason));
        // A status without an answer behind it says why only in its causes.
        let message = match status.source() {
            Some(cause) => format!("{}: {}", status.message(), causes::line(cause)),
            None => status.message().to_owned(),
        };
        Self {
            code: status.code(),
            reason,
            message,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Some(reason) => write!(f, "{}: {}", reason.name(), self.message),
            None => write!(f, "{:?}: {}", self.code, self.message),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn reason_and_delay_are_read_from_the_details() {
        let mut details = ErrorDetails::with_error_info("OVERLOADED", "fulcrum", HashMap::new());
        details.set_retry_info(Some(Duration::from_secs(2)));
        let status = Status::with_error_details(Code::Unavailable, "too much to do", details);
        let refusal = Refusal::from(status);
        assert_eq!(refusal.reason, Some(ErrorReason::Overloaded));
        assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)));
        assert!(refusal.is_temporary());
        assert_eq!(refusal.to_string(), "OVERLOADED: too much to do");
    }

    #[test]
    fn a_lost_lease_is_not_temporary() {
        assert!(!Refusal::from(Status::failed_precondition("lost")).is_temporary());
    }
}
