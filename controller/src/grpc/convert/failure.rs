//! Failures.

use fulcrum_core::failure::{Failure, FailureClass};
use fulcrum_core::payload::Payload;
use fulcrum_proto::common::v1 as wire;

use super::{payload, time};
use crate::server::fault::Fault;

/// Longest failure code, in bytes.
const CODE_BYTES_MAX: usize = 64;
/// Longest failure message, in bytes; what is longer is cut.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// A failure for the wire.
#[must_use]
pub fn failure(failure: &Failure) -> wire::Failure {
    wire::Failure {
        class: class(failure.class).into(),
        code: failure.code.clone(),
        message: failure.message.clone(),
        details: None,
        retry_after: failure.retry_after.map(time::span),
        sent: wire::RequestSent::Unspecified.into(),
    }
}

/// A failure from a worker, with its details apart.
pub fn to_failure(
    field: &str,
    failure: wire::Failure,
) -> Result<(Failure, Option<Payload>), Fault> {
    let class = match failure.class() {
        wire::FailureClass::Transient => FailureClass::Transient,
        wire::FailureClass::Recoverable => FailureClass::Recoverable,
        wire::FailureClass::Fatal => FailureClass::Fatal,
        // A worker that cannot tell does not know what happened.
        wire::FailureClass::Unknown | wire::FailureClass::Unspecified => FailureClass::Unknown,
    };
    if failure.code.is_empty() || failure.code.len() > CODE_BYTES_MAX {
        return Err(Fault::field(
            format!("{field}.code"),
            format!("must have 1 to {CODE_BYTES_MAX} bytes"),
        ));
    }
    let details = failure
        .details
        .map(|details| payload::to_payload(&format!("{field}.details"), details))
        .transpose()?;
    let retry_after = failure
        .retry_after
        .map(|span| time::to_span(&format!("{field}.retry_after"), span))
        .transpose()?;
    let message = cut(failure.message);
    Ok((
        Failure {
            class,
            code: failure.code,
            message,
            details: None,
            retry_after,
        },
        details,
    ))
}

fn class(class: FailureClass) -> wire::FailureClass {
    match class {
        FailureClass::Transient => wire::FailureClass::Transient,
        FailureClass::Recoverable => wire::FailureClass::Recoverable,
        FailureClass::Fatal => wire::FailureClass::Fatal,
        FailureClass::Unknown => wire::FailureClass::Unknown,
    }
}

fn cut(mut text: String) -> String {
    if text.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let text = cut("é".repeat(MESSAGE_BYTES_MAX));
        assert_eq!(text.len(), MESSAGE_BYTES_MAX);
    }

    #[test]
    fn an_unspecified_class_is_unknown() {
        let wire = wire::Failure {
            code: "X".into(),
            ..wire::Failure::default()
        };
        let (failure, _) = to_failure("failure", wire).expect("valid");
        assert_eq!(failure.class, FailureClass::Unknown);
    }
}
