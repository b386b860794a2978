//! What the engine's and the store's errors mean to a caller.

use fulcrum_core::decide::Rejection;
use fulcrum_core::store::StoreError;
use fulcrum_proto::common::v1::{ErrorReason, ItemError};
use tonic::Code;

use crate::engine::handle::EngineError;
use crate::engine::item::LaneError;
use crate::engine::token::InvalidToken;
use crate::server::fault::{COME_BACK, Fault};

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Lane(error) => error.into(),
            EngineError::Store(error) => error.into(),
            EngineError::RequestIdReused(_) => Fault::new(
                Code::AlreadyExists,
                ErrorReason::RequestIdReused,
                error.to_string(),
            ),
            EngineError::RunNotFound(run) => Fault::not_found(ErrorReason::RunNotFound, "run", run),
            EngineError::PayloadTooLarge { max, actual } => Fault::new(
                Code::InvalidArgument,
                ErrorReason::PayloadTooLarge,
                error.to_string(),
            )
            .fact("limit", "payload_bytes_max")
            .fact("max", max.to_string())
            .fact("actual", actual.to_string()),
            EngineError::PayloadInvalid(_) => Fault::field("payload", error.to_string()),
        }
    }
}

impl From<LaneError> for Fault {
    fn from(error: LaneError) -> Self {
        match error {
            LaneError::Rejected(rejection) => rejection.into(),
            LaneError::Duplicate(_) => Fault::new(
                Code::AlreadyExists,
                ErrorReason::RequestIdReused,
                error.to_string(),
            ),
            LaneError::KeyTaken(_) => Fault::new(
                Code::AlreadyExists,
                ErrorReason::IdempotencyKeyReused,
                error.to_string(),
            ),
            LaneError::Overloaded | LaneError::Contended(_) => Fault::new(
                Code::ResourceExhausted,
                ErrorReason::Overloaded,
                error.to_string(),
            )
            .retry_after(COME_BACK),
            LaneError::Draining => {
                Fault::unavailable(ErrorReason::Draining, error.to_string(), COME_BACK)
            }
            LaneError::Store(error) => error.into(),
            LaneError::Definition { .. } => Fault::internal(&error),
        }
    }
}

impl From<Rejection> for Fault {
    fn from(rejection: Rejection) -> Self {
        let text = rejection.to_string();
        match rejection {
            Rejection::RunNotFound(run) => Fault::not_found(ErrorReason::RunNotFound, "run", run),
            Rejection::RunClosed(_) => {
                Fault::new(Code::FailedPrecondition, ErrorReason::RunClosed, text)
            }
            Rejection::LeaseLost(_) => {
                Fault::new(Code::FailedPrecondition, ErrorReason::LeaseLost, text)
            }
            Rejection::ReviewNotOpen(_) => {
                Fault::new(Code::FailedPrecondition, ErrorReason::ReviewClosed, text)
            }
            Rejection::ReviewChanged { .. } => {
                Fault::new(Code::FailedPrecondition, ErrorReason::ReviewChanged, text)
            }
            Rejection::NotEditable(_) => Fault::field("edited", text),
            Rejection::InvalidInput(_) => {
                let mut fault = Fault::new(
                    Code::InvalidArgument,
                    ErrorReason::InputSchemaMismatch,
                    text.clone(),
                );
                fault.fields.push(("spec.input".to_owned(), text));
                fault
            }
            Rejection::LimitExceeded { limit, max, actual } => {
                Fault::new(Code::ResourceExhausted, ErrorReason::LimitExceeded, text)
                    .fact("limit", limit)
                    .fact("max", max.to_string())
                    .fact("actual", actual.to_string())
            }
            Rejection::JournalConflict { .. } => Fault::new(
                Code::FailedPrecondition,
                ErrorReason::JournalInputChanged,
                text,
            ),
            Rejection::Stale(_) => {
                Fault::new(Code::FailedPrecondition, ErrorReason::LeaseLost, text)
            }
            // The lane settles both before anybody is answered.
            Rejection::Needs(_) | Rejection::AlreadyStarted(_) | Rejection::WrongPlan { .. } => {
                Fault::internal(&text)
            }
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let unavailable =
            |text: &str| Fault::unavailable(ErrorReason::StoreUnavailable, text, COME_BACK);
        match error {
            StoreError::Unavailable(_) => {
                unavailable("the database cannot be reached; the call may be repeated")
            }
            StoreError::Retry(_) => {
                unavailable("the database is contended; the call may be repeated")
            }
            StoreError::BlobsUnavailable { .. } => {
                unavailable("object storage cannot be reached; the call may be repeated")
            }
            StoreError::OutcomeUnknown(_) => unavailable(
                "the outcome is not known yet; repeat the call with the same request id",
            ),
            StoreError::Full(_) => {
                let text = "the database has no room; nothing was accepted";
                Fault::new(Code::ResourceExhausted, ErrorReason::Overloaded, text)
                    .retry_after(COME_BACK)
            }
            StoreError::Corrupt { .. } | StoreError::CorruptPayload { .. } => {
                let text = error.to_string();
                Fault::new(Code::DataLoss, ErrorReason::DataCorrupt, text)
            }
            StoreError::Newer { .. } => {
                Fault::unavailable(ErrorReason::RunNewer, error.to_string(), COME_BACK)
            }
            StoreError::Refused(_) => Fault::internal(&error),
        }
    }
}

impl From<InvalidToken> for Fault {
    fn from(error: InvalidToken) -> Self {
        // Another's lease looks exactly like one that does not exist.
        Fault::new(
            Code::FailedPrecondition,
            ErrorReason::LeaseLost,
            error.to_string(),
        )
    }
}

/// A fault as one item's error in a batch.
#[must_use]
pub fn item_error(fault: Fault) -> ItemError {
    ItemError {
        reason: fault.reason.into(),
        message: fault.message,
        retry_after: fault
            .retry_after
            .and_then(|span| prost_types::Duration::try_from(span).ok()),
    }
}

#[cfg(test)]
mod tests {
    use fulcrum_core::ids::{RunId, Shard};
    use fulcrum_core::time::Timestamp;
    use tonic::Status;
    use tonic_types::StatusExt as _;

    use super::*;

    fn run() -> RunId {
        RunId::new(Timestamp(0), Shard(0), 1)
    }

    /// Code, reason, and whether it says when to come back.
    fn told(fault: impl Into<Fault>) -> (Code, String, bool) {
        let status = Status::from(fault.into());
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        let later = details.retry_info().and_then(|info| info.retry_delay);
        (status.code(), reason.unwrap_or_default(), later.is_some())
    }

    #[test]
    fn what_may_be_repeated_says_when_and_nothing_else_does() {
        let text = || "why".to_owned();
        let later = |code, reason: &str| (code, reason.to_owned(), true);
        let never = |code, reason: &str| (code, reason.to_owned(), false);
        let overloaded = later(Code::ResourceExhausted, "OVERLOADED");
        let no_store = later(Code::Unavailable, "STORE_UNAVAILABLE");
        assert_eq!(told(LaneError::Overloaded), overloaded);
        assert_eq!(told(LaneError::Contended(run())), overloaded);
        assert_eq!(told(StoreError::Full(text())), overloaded);
        assert_eq!(
            told(LaneError::Draining),
            later(Code::Unavailable, "DRAINING")
        );
        for error in [
            StoreError::Unavailable(text()),
            StoreError::Retry(text()),
            StoreError::OutcomeUnknown(text()),
        ] {
            assert_eq!(told(error.clone()), no_store);
            assert_eq!(told(LaneError::Store(error.clone())), no_store);
            assert_eq!(told(EngineError::Store(error)), no_store);
        }
        let limit = Rejection::LimitExceeded {
            limit: "steps_max",
            max: 1,
            actual: 2,
        };
        assert_eq!(
            told(limit),
            never(Code::ResourceExhausted, "LIMIT_EXCEEDED")
        );
        let closed = never(Code::FailedPrecondition, "RUN_CLOSED");
        assert_eq!(told(Rejection::RunClosed(run())), closed);
        let taken = never(Code::AlreadyExists, "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(told(LaneError::KeyTaken(run())), taken);
        let reused = never(Code::AlreadyExists, "REQUEST_ID_REUSED");
        assert_eq!(told(EngineError::RequestIdReused(text())), reused);
        let absent = never(Code::NotFound, "RUN_NOT_FOUND");
        assert_eq!(told(EngineError::RunNotFound(run())), absent);
        let ours = never(Code::Internal, "INTERNAL");
        assert_eq!(told(StoreError::Refused(text())), ours);
        let large = EngineError::PayloadTooLarge { max: 1, actual: 2 };
        assert_eq!(
            told(large),
            never(Code::InvalidArgument, "PAYLOAD_TOO_LARGE")
        );
    }
}
