//! Payloads.

use fulcrum_core::payload::Payload;
use fulcrum_proto::common::v1 as wire;

use crate::server::fault::Fault;

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
