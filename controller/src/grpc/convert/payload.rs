//! Payloads.

use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_proto::common::v1 as wire;

use crate::server::fault::Fault;

/// A value with more bytes is never carried whole to somebody who can read it by itself.
pub const WHOLE_BYTES_MAX: u32 = 1 << 20;

/// What an answer carries in place of a value.
pub type Give<'a> = dyn Fn(PayloadRef) -> wire::Payload + Send + Sync + 'a;

/// How an answer carries values.
#[derive(Clone, Copy)]
pub enum Carriage<'a> {
    /// Whole; what it has no room for is left out.
    Whole,
    /// Those with more bytes, and those that it has no room for, by their handles.
    ByHandle(u32, &'a Give<'a>),
}

/// The largest value to be carried whole, as a request says it; `None` if its caller knows no handles.
#[must_use]
pub fn whole_bytes_max(asked: u64) -> Option<u32> {
    let asked = u32::try_from(asked).unwrap_or(u32::MAX);
    (asked > 0).then(|| asked.min(WHOLE_BYTES_MAX))
}

/// A payload for the wire.
#[must_use]
pub fn payload(payload: Payload) -> wire::Payload {
    wire::Payload {
        encoding: payload.encoding,
        data: payload.data.into(),
    }
}

/// A payload from the wire. The only encoding is `json`; an empty name means it, and so do empty bytes mean null.
pub fn to_payload(field: &str, payload: wire::Payload) -> Result<Payload, Fault> {
    if payload.is_handle() {
        let problem = "a handle cannot be used here; send the value";
        return Err(Fault::field(field, problem));
    }
    if !matches!(payload.encoding.as_str(), "" | "json") {
        return Err(Fault::field(
            format!("{field}.encoding"),
            format!("`{}` is not `json`", payload.encoding),
        ));
    }
    let data = if payload.data.is_empty() {
        b"null".to_vec()
    } else {
        payload.data.into()
    };
    Ok(Payload {
        encoding: "json".to_owned(),
        data,
    })
}

/// A payload that must be there.
pub fn required(field: &str, payload: Option<wire::Payload>) -> Result<Payload, Fault> {
    to_payload(field, payload.unwrap_or_default())
}
