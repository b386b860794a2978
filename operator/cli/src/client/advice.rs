//! What to do about each reason of refusal. One line each, in the imperative.

use fulcrum_proto::common::v1::ErrorReason;
use tonic::Code;

/// What to do about a reason of the contract; `None` where the message says it all.
#[must_use]
pub fn for_reason(reason: ErrorReason) -> Option<&'static str> {
    Some(match reason {
        ErrorReason::Unspecified | ErrorReason::InvalidRequest | ErrorReason::CsrInvalid => {
            return None;
        }
        ErrorReason::PayloadTooLarge => {
            "put the data where workers can read it and pass a reference"
        }
        ErrorReason::DefinitionInvalid => {
            "`fulcrum validate FILE` shows every finding with its place"
        }
        ErrorReason::InputSchemaMismatch => {
            "compare --input with the `input:` schema of the workflow"
        }
        ErrorReason::OutputSchemaMismatch => {
            "`fulcrum capability show NAME` shows the schema the worker broke"
        }
        ErrorReason::PageTokenInvalid => "start the listing again from its first page",
        ErrorReason::FilterInvalid => {
            "a filter is CEL: 'workflow == \"onboarding\" && status == \"failed\"'"
        }
        ErrorReason::HandleInvalid | ErrorReason::HandleExpired => {
            "a handle is good for whom it was given to, for a while; upload the value again, or ask again for the answer"
        }
        ErrorReason::StreamStalled => "the connection is too slow, or stood still; try again",
        ErrorReason::NothingSigned => {
            "raise the feature level if it is below 3 (`fulcrum upgrade finalize`), and try again a minute later"
        }
        ErrorReason::BatchTooLarge => "split the batch",
        ErrorReason::NamespaceNotFound => {
            "`fulcrum namespace list` shows what there is; --namespace picks one"
        }
        ErrorReason::DefinitionNotFound => {
            "`fulcrum apply FILE` stores a workflow; check its name and --namespace"
        }
        ErrorReason::RunNotFound => {
            "`fulcrum run list` shows the runs of this namespace; check --namespace"
        }
        ErrorReason::ReviewNotFound => {
            "`fulcrum review list --state all` shows every review; check --namespace"
        }
        ErrorReason::WorkerNotFound => "`fulcrum worker list` shows the workers of this namespace",
        ErrorReason::UnknownCapability => {
            "`fulcrum capability list` shows what workers offer; is the worker connected?"
        }
        ErrorReason::RequestIdReused => "use a new request id for a new request",
        ErrorReason::IdempotencyKeyReused => {
            "use another --key, or the input that the key was first used with"
        }
        ErrorReason::NamespaceExists => {
            "pick another name; `fulcrum namespace list` shows what there is"
        }
        ErrorReason::ContractChanged => "raise the capability's version where it is declared",
        ErrorReason::LeaseLost => "nothing was changed; the work goes to another worker",
        ErrorReason::RunClosed => "a closed run cannot be changed; start a new one",
        ErrorReason::ReviewClosed => "`fulcrum review show ID` tells who decided and when",
        ErrorReason::ReviewChanged => "look again with `fulcrum review show ID`, then decide",
        ErrorReason::JournalNameReused | ErrorReason::JournalInputChanged => {
            "give each operation of the task a name of its own; key the names in loops"
        }
        ErrorReason::NotRegistered => "restart the worker",
        ErrorReason::VersionUnsupported => "upgrade this `fulcrum` to the controller's version",
        ErrorReason::PermissionDenied => {
            "`fulcrum whoami` shows who you are; another context may have the right"
        }
        ErrorReason::Unauthenticated => {
            "the identity is expired or revoked; get a token from an operator (`fulcrum worker add NAME --kind operator`) \
             and enrol again with `fulcrum context add`"
        }
        ErrorReason::TokenInvalid => {
            "a token works once, for one name, for a short time; ask for a new one with `fulcrum worker add NAME`"
        }
        ErrorReason::LimitExceeded => {
            "the message names the limit; docs/config.md tells how to raise it"
        }
        ErrorReason::Overloaded | ErrorReason::Draining => "try again in a moment",
        ErrorReason::StoreUnavailable => {
            "the controller lost its database; look at its log, then try again"
        }
        ErrorReason::RunNewer => {
            "an upgrade is under way; try again, and another controller may answer"
        }
        ErrorReason::DataCorrupt => {
            "stored data of this run is spoiled, and the run stands still; restore the database from a backup"
        }
        ErrorReason::Internal => {
            "this is a defect of Fulcrum; report it with the id in the message"
        }
    })
}

/// What to do when only the status is known.
#[must_use]
pub fn for_status(status: Code) -> Option<&'static str> {
    match status {
        Code::Unavailable => Some(
            "is the controller running? `fulcrum dev` starts one here; `fulcrum context list` shows where you point",
        ),
        Code::DeadlineExceeded => {
            Some("it took too long; what was asked may still happen, so look before you repeat it")
        }
        Code::Unimplemented => {
            Some("the controller is older than this `fulcrum`, or does not serve this here")
        }
        Code::Unauthenticated => for_reason(ErrorReason::Unauthenticated),
        Code::PermissionDenied => for_reason(ErrorReason::PermissionDenied),
        Code::Internal => Some("the controller's log has the details"),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => None,
    }
}

/// The status that a reason travels with when it refuses a whole call; batched items carry the reason alone.
#[must_use]
pub fn status_of(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::InvalidRequest
        | ErrorReason::PayloadTooLarge
        | ErrorReason::HandleInvalid
        | ErrorReason::DefinitionInvalid
        | ErrorReason::InputSchemaMismatch
        | ErrorReason::OutputSchemaMismatch
        | ErrorReason::PageTokenInvalid
        | ErrorReason::FilterInvalid
        | ErrorReason::BatchTooLarge
        | ErrorReason::CsrInvalid => Code::InvalidArgument,
        ErrorReason::NamespaceNotFound
        | ErrorReason::DefinitionNotFound
        | ErrorReason::RunNotFound
        | ErrorReason::ReviewNotFound
        | ErrorReason::WorkerNotFound
        | ErrorReason::UnknownCapability => Code::NotFound,
        ErrorReason::RequestIdReused
        | ErrorReason::IdempotencyKeyReused
        | ErrorReason::NamespaceExists
        | ErrorReason::ContractChanged => Code::AlreadyExists,
        ErrorReason::LeaseLost
        | ErrorReason::RunClosed
        | ErrorReason::ReviewClosed
        | ErrorReason::ReviewChanged
        | ErrorReason::JournalNameReused
        | ErrorReason::JournalInputChanged
        | ErrorReason::NotRegistered
        | ErrorReason::VersionUnsupported
        | ErrorReason::HandleExpired => Code::FailedPrecondition,
        ErrorReason::PermissionDenied => Code::PermissionDenied,
        ErrorReason::Unauthenticated | ErrorReason::TokenInvalid => Code::Unauthenticated,
        ErrorReason::LimitExceeded => Code::ResourceExhausted,
        ErrorReason::Overloaded
        | ErrorReason::Draining
        | ErrorReason::StoreUnavailable
        | ErrorReason::NothingSigned
        | ErrorReason::RunNewer => Code::Unavailable,
        ErrorReason::StreamStalled => Code::Aborted,
        ErrorReason::DataCorrupt => Code::DataLoss,
        ErrorReason::Unspecified | ErrorReason::Internal => Code::Internal,
    }
}
