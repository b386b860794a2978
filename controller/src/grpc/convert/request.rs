//! Ids and request ids.

use std::str::FromStr;

use fulcrum_core::ids::{InvalidId, NamespaceId, RunId};
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_store::catalog::RequestNote;
use prost::Message;
use sha2::{Digest, Sha256};
use tonic::Code;

use crate::engine::handle::ClientRequest;
use crate::server::fault::Fault;

/// Longest request id, in bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// A client's request id with the digest of its call; `None` when it gave none.
pub fn client_request(
    method: &str,
    id: &str,
    body: &impl Message,
) -> Result<Option<ClientRequest>, Fault> {
    if id.is_empty() {
        return Ok(None);
    }
    if id.len() > REQUEST_ID_BYTES_MAX {
        return Err(Fault::field(
            "request_id",
            format!("must have at most {REQUEST_ID_BYTES_MAX} bytes"),
        ));
    }
    let mut hash = Sha256::new();
    hash.update((method.len() as u64).to_be_bytes());
    hash.update(method);
    hash.update(body.encode_to_vec());
    Ok(Some(ClientRequest {
        id: id.to_owned(),
        digest: hash.finalize().into(),
    }))
}

/// A run id; what is not one names a run that does not exist.
pub fn run_id(text: &str) -> Result<RunId, Fault> {
    RunId::from_str(text).map_err(|_| Fault::not_found(ErrorReason::RunNotFound, "run", text))
}

/// Any other id.
pub fn id<T: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<T, Fault> {
    text.parse()
        .map_err(|error: InvalidId| Fault::field(field, error.to_string()))
}

/// The same for what is about no run, kept with what it is about.
#[must_use]
pub fn note(kept_with: NamespaceId, request: Option<ClientRequest>) -> Option<RequestNote> {
    request.map(|request| RequestNote {
        namespace: kept_with,
        id: request.id,
        digest: request.digest,
    })
}

/// Keeps what is about no namespace either.
pub const INSTALLATION: NamespaceId = NamespaceId(uuid::Uuid::nil());

/// The answer that a repeated call got the first time.
pub fn replay<M: Message + Default>(answer: &[u8]) -> Result<M, Fault> {
    M::decode(answer).map_err(|error| Fault::internal(&error))
}

/// The request id stands for another call.
#[must_use]
pub fn reused(id: &str) -> Fault {
    Fault::new(
        Code::AlreadyExists,
        ErrorReason::RequestIdReused,
        format!("request id `{id}` was used for another call"),
    )
}
