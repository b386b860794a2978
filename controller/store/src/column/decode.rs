//! From columns to values of the core. What does not fit was written by something else: corrupt.

use fulcrum_core::event::{StepKey, TraceContext};
use fulcrum_core::ids::PayloadId;
use fulcrum_core::payload::PayloadRef;
use uuid::Uuid;

use crate::problem::Problem;

pub(crate) fn hash(bytes: Vec<u8>) -> Result<[u8; 32], Problem> {
    bytes
        .try_into()
        .map_err(|_| Problem::schema("a hash is not 32 bytes long"))
}

pub(crate) fn step(text: &str) -> Result<StepKey, Problem> {
    text.parse().map_err(Problem::schema)
}

pub(crate) fn count(value: i64) -> Result<u64, Problem> {
    u64::try_from(value).map_err(|_| Problem::schema("a count is negative"))
}

pub(crate) fn count32(value: i64) -> Result<u32, Problem> {
    u32::try_from(value).map_err(|_| Problem::schema("a count does not fit 32 bits"))
}

pub(crate) fn count16(value: i32) -> Result<u16, Problem> {
    u16::try_from(value).map_err(|_| Problem::schema("a count does not fit 16 bits"))
}

pub(crate) fn payload_ref(
    id: Uuid,
    hash_bytes: Vec<u8>,
    bytes: i64,
) -> Result<PayloadRef, Problem> {
    Ok(PayloadRef {
        id: PayloadId(id),
        hash: hash(hash_bytes)?,
        bytes: count32(bytes)?,
    })
}

/// 16 bytes of trace id, 8 of span id, one of flags.
pub(crate) fn trace_bytes(trace: &TraceContext) -> Vec<u8> {
    [
        trace.trace_id.as_slice(),
        trace.span_id.as_slice(),
        &[trace.flags],
    ]
    .concat()
}

pub(crate) fn trace(bytes: &[u8]) -> Result<TraceContext, Problem> {
    let parts = bytes
        .split_first_chunk::<16>()
        .and_then(|(trace_id, rest)| {
            let (span_id, flags) = rest.split_first_chunk::<8>()?;
            let [flags] = flags else { return None };
            Some(TraceContext {
                trace_id: *trace_id,
                span_id: *span_id,
                flags: *flags,
            })
        });
    parts.ok_or_else(|| Problem::schema("a trace context is not 25 bytes long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_context_survives_its_column() {
        let context = TraceContext {
            trace_id: [1; 16],
            span_id: [2; 8],
            flags: 1,
        };
        assert_eq!(trace(&trace_bytes(&context)).ok(), Some(context));
        assert!(trace(&[0; 24]).is_err() && trace(&[0; 26]).is_err());
    }
}
