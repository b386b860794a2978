//! Operations of a task's journal.

use fulcrum_core::decide::command::{Operation, OperationRequest};
use fulcrum_core::payload::Payload;
use fulcrum_proto::worker::v1 as wire;
use wire::parked_operation::Operation as Kind;
use wire::sleep_operation::Until;

use super::{payload, time};
use crate::engine::delivery::{ClosedOperation, Handed};
use crate::engine::handle::Namer;
use crate::grpc::convert::failure;
use crate::server::fault::Fault;

/// An operation that a parked task waits for.
pub fn to_operation(
    field: &str,
    operation: wire::ParkedOperation,
    namer: &mut Namer,
) -> Result<Operation, Fault> {
    let input_digest = to_digest(field, &operation.input_digest)?;
    let at = |name: &str| format!("{field}.{name}");
    let request = match operation.operation {
        None => return Err(Fault::field(field, "says nothing about what to do")),
        Some(Kind::Call(call)) => OperationRequest::Call {
            capability: call.capability,
            input: namer.name(payload::required(&at("call.input"), call.input)?)?,
        },
        Some(Kind::Sleep(sleep)) => match sleep.until {
            None => return Err(Fault::field(at("sleep.until"), "is missing")),
            Some(Until::Duration(span)) => OperationRequest::Sleep {
                span: time::to_span(&at("sleep.duration"), span)?,
            },
            Some(Until::At(instant)) => OperationRequest::SleepUntil {
                at: time::to_instant(&at("sleep.at"), instant)?,
            },
        },
        Some(Kind::Review(review)) => OperationRequest::Review {
            title: review.title,
            show: namer.name(payload::required(&at("review.show"), review.show)?)?,
            edit: review.editable,
            expires: review
                .expires
                .map(|span| time::to_span(&at("review.expires"), span))
                .transpose()?,
        },
        Some(Kind::WaitSignal(wait)) => OperationRequest::WaitSignal {
            signal: wait.signal,
            timeout: wait
                .timeout
                .map(|span| time::to_span(&at("wait_signal.timeout"), span))
                .transpose()?,
        },
    };
    Ok(Operation {
        name: operation.name,
        input_digest,
        request,
    })
}

/// A digest from the wire.
pub fn to_digest(field: &str, digest: &[u8]) -> Result<[u8; 32], Fault> {
    digest
        .try_into()
        .map_err(|_| Fault::field(format!("{field}.input_digest"), "must have 32 bytes"))
}

/// A closed operation for the wire.
#[must_use]
pub fn entry(operation: ClosedOperation, give: &payload::Give<'_>) -> wire::JournalEntry {
    let null = || Handed::Whole(Payload::json(&serde_json::Value::Null));
    let outcome = match operation.result {
        Ok(output) => {
            wire::journal_entry::Outcome::Output(handed(output.unwrap_or_else(null), give))
        }
        Err(error) => wire::journal_entry::Outcome::Failure(failure::failure(&error)),
    };
    wire::JournalEntry {
        name: operation.name,
        input_digest: operation.input_digest.to_vec().into(),
        outcome: Some(outcome),
    }
}

/// A value on its way to a worker.
#[must_use]
pub fn handed(value: Handed, give: &payload::Give<'_>) -> fulcrum_proto::common::v1::Payload {
    match value {
        Handed::Whole(value) => payload::payload(value),
        Handed::Apart(reference) => give(reference),
    }
}
