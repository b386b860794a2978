//! The border: the SDK's own types on one side, the contract's messages on the other.

use std::time::Duration;

use fulcrum_proto::{common::v1 as common, worker::v1 as worker};
use serde_json::Value;

use crate::{
    Contract, EffectClass, Failure, FailureClass, Idempotency, Sent, code,
    journal::operation::{Digest, Entry, Operation, Outcome},
};

/// Encoding name of JSON payloads.
const JSON: &str = "json";
const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 4 << 10;
const DETAILS_BYTES_MAX: usize = 64 << 10;

pub(crate) fn payload(value: &Value) -> common::Payload {
    common::Payload {
        encoding: JSON.into(),
        data: value.to_string().into(),
    }
}

/// A payload's value. An absent payload is null.
pub(crate) fn value(payload: Option<common::Payload>) -> Result<Value, Failure> {
    let Some(payload) = payload else {
        return Ok(Value::Null);
    };
    if !matches!(payload.encoding.as_str(), "" | JSON) {
        let message = format!("cannot read payloads encoded as {:?}", payload.encoding);
        return Err(Failure::fatal(code::ENCODING_UNKNOWN, message).sent(Sent::No));
    }
    serde_json::from_slice(&payload.data).map_err(|error| {
        Failure::fatal(
            code::PAYLOAD_INVALID,
            format!("a payload is not JSON: {error}"),
        )
        .sent(Sent::No)
    })
}

/// A duration as the wire carries it; one beyond what the wire can say becomes the longest it can.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration::try_from(duration).unwrap_or(prost_types::Duration {
        seconds: i64::MAX,
        nanos: 0,
    })
}

/// A duration from the wire; a negative one is zero.
pub(crate) fn std_duration(duration: prost_types::Duration) -> Duration {
    Duration::try_from(duration).unwrap_or_default()
}

pub(crate) fn contract(contract: &Contract) -> common::CapabilityContract {
    let effect = match contract.effect {
        EffectClass::Read => common::EffectClass::Read,
        EffectClass::Reversible => common::EffectClass::Reversible,
        EffectClass::Irreversible => common::EffectClass::Irreversible,
        EffectClass::Outward => common::EffectClass::Outward,
    };
    let idempotency = match contract.idempotency {
        Idempotency::Natural => common::Idempotency::Natural,
        Idempotency::Keyed => common::Idempotency::Keyed,
        Idempotency::None => common::Idempotency::None,
    };
    common::CapabilityContract {
        name: contract.name.clone(),
        version: contract.version,
        description: contract.description.clone(),
        input_schema: contract.input_schema.to_string().into(),
        output_schema: contract.output_schema.to_string().into(),
        effect: effect.into(),
        idempotency: idempotency.into(),
        timeout: contract.timeout.map(duration),
    }
}

pub(crate) fn failure(failure: &Failure) -> common::Failure {
    let class = match failure.class {
        FailureClass::Transient => common::FailureClass::Transient,
        FailureClass::Recoverable => common::FailureClass::Recoverable,
        FailureClass::Fatal => common::FailureClass::Fatal,
        FailureClass::Unknown => common::FailureClass::Unknown,
    };
    let sent = match failure.sent {
        Sent::No => common::RequestSent::No,
        Sent::Maybe => common::RequestSent::Maybe,
        Sent::Yes => common::RequestSent::Yes,
    };
    let details = failure.details.as_ref().map(payload);
    common::Failure {
        class: class.into(),
        code: cut(&failure.code, CODE_BYTES_MAX),
        message: cut(&failure.message, MESSAGE_BYTES_MAX),
        details: details.filter(|details| details.data.len() <= DETAILS_BYTES_MAX),
        retry_after: failure.retry_after.map(duration),
        sent: sent.into(),
    }
}

fn failure_from_wire(failure: common::Failure) -> Failure {
    let class = match failure.class() {
        common::FailureClass::Transient => FailureClass::Transient,
        common::FailureClass::Recoverable => FailureClass::Recoverable,
        common::FailureClass::Fatal => FailureClass::Fatal,
        common::FailureClass::Unknown | common::FailureClass::Unspecified => FailureClass::Unknown,
    };
    let sent = match failure.sent() {
        common::RequestSent::No => Sent::No,
        common::RequestSent::Yes => Sent::Yes,
        common::RequestSent::Maybe | common::RequestSent::Unspecified => Sent::Maybe,
    };
    Failure {
        class,
        code: failure.code,
        message: failure.message,
        retry_after: failure.retry_after.map(std_duration),
        sent,
        // Details that cannot be read are no reason to hide the failure itself.
        details: failure
            .details
            .and_then(|details| value(Some(details)).ok()),
    }
}

pub(crate) fn entry(entry: Entry) -> worker::JournalEntry {
    let outcome = match &entry.outcome {
        Ok(value) => worker::journal_entry::Outcome::Output(payload(value)),
        Err(error) => worker::journal_entry::Outcome::Failure(failure(error)),
    };
    worker::JournalEntry {
        name: entry.name,
        input_digest: entry.digest.0.to_vec().into(),
        outcome: Some(outcome),
    }
}

pub(crate) fn entry_from_wire(entry: worker::JournalEntry) -> Result<Entry, Failure> {
    let damaged = |what: &str| {
        let message = format!("journal entry {:?} {what}", entry.name);
        Failure::fatal(code::JOURNAL_DAMAGED, message).sent(Sent::No)
    };
    let digest: [u8; 32] = entry
        .input_digest
        .as_ref()
        .try_into()
        .map_err(|_| damaged("has no digest"))?;
    let outcome: Outcome = match entry.outcome.clone() {
        Some(worker::journal_entry::Outcome::Output(output)) => Ok(value(Some(output))?),
        Some(worker::journal_entry::Outcome::Failure(failure)) => Err(failure_from_wire(failure)),
        None => return Err(damaged("has no outcome")),
    };
    Ok(Entry {
        name: entry.name,
        digest: Digest(digest),
        outcome,
    })
}

pub(crate) fn parked(name: String, operation: Operation) -> worker::ParkedOperation {
    use worker::parked_operation::Operation as Wire;

    let input_digest = operation.digest().0.to_vec().into();
    let operation = match operation {
        Operation::Call { capability, input } => Wire::Call(worker::CallOperation {
            capability,
            input: Some(payload(&input)),
        }),
        Operation::SleepFor(time) => Wire::Sleep(worker::SleepOperation {
            until: Some(worker::sleep_operation::Until::Duration(duration(time))),
        }),
        Operation::SleepUntil(at) => Wire::Sleep(worker::SleepOperation {
            until: Some(worker::sleep_operation::Until::At(at.into())),
        }),
        Operation::Review(question) => Wire::Review(worker::ReviewOperation {
            title: question.title,
            show: Some(payload(&question.show)),
            editable: question.editable,
            expires: question.expires.map(duration),
        }),
        Operation::WaitSignal { signal, timeout } => {
            Wire::WaitSignal(worker::WaitSignalOperation {
                signal,
                timeout: timeout.map(duration),
            })
        }
    };
    worker::ParkedOperation {
        name,
        input_digest,
        operation: Some(operation),
    }
}

fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::journal::operation::step_digest;

    #[test]
    fn a_journal_entry_survives_the_wire() {
        let failure = Failure::unknown("HTTP_TIMEOUT", "no answer")
            .sent(Sent::Yes)
            .retry_after(Duration::from_secs(3))
            .details(json!({"status": 504}));
        for outcome in [Ok(json!({"id": 7})), Err(failure)] {
            let before = Entry {
                name: "charge".into(),
                digest: step_digest(),
                outcome,
            };
            assert_eq!(entry_from_wire(entry(before.clone())), Ok(before));
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("naïve", 3), "na");
        assert_eq!(cut("naïve", 4), "naï");
        assert_eq!(cut("na", 64), "na");
    }
}
