//! The call itself.

use fulcrum_proto::{
    common::v1::IdentityKind,
    worker::v1::{EnrolRequest, enrolment_service_client::EnrolmentServiceClient},
};

use super::token::JoinToken;
use crate::{
    channel::{self, ConnectError},
    identity::{IdentityAbout, IdentityDir, IdentityError, NewKey},
    refusal::Refusal,
    tls,
};

/// Why joining failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// The controller cannot be reached, or is not the one the token is for. The secret was not sent.
    #[error("cannot enrol: {0}")]
    Connect(#[from] ConnectError),
    /// The controller refused. A wrong token is never explained: ask the operator for a new one.
    #[error(
        "the controller refused: {0}; if the token was used or is older than its time, ask the operator for a new one"
    )]
    Refused(#[source] Refusal),
    /// The new identity cannot be kept. The token is spent.
    #[error("enrolled, but {0}; make room and enrol again with a new token")]
    Identity(#[from] IdentityError),
}

/// Who wants to join, and where.
#[derive(Clone)]
pub struct Enrolment {
    /// The controller's enrolment listener: `https://host:port`.
    pub endpoint: String,
    /// The join token.
    pub token: JoinToken,
    /// Name to join under, as the token is bound to; `None` takes the token's.
    pub name: Option<String>,
    /// Name and version of this program, for display.
    pub version: String,
}

/// Joins, and keeps the new identity in `dir`. The private key is made here and stays here.
///
/// # Errors
/// [`EnrolError`]. A server whose authority is not the token's is refused before the secret is sent.
pub async fn enrol(enrolment: &Enrolment, dir: &IdentityDir) -> Result<IdentityAbout, EnrolError> {
    let config = tls::pinned_config(enrolment.token.authority());
    let channel = channel::connect_with(&enrolment.endpoint, tls::Current::new(config)).await?;
    let new_key = NewKey::generate()?;
    let request = EnrolRequest {
        token: enrolment.token.expose().to_owned(),
        csr_der: new_key.csr_der.into(),
        name: enrolment.name.clone().unwrap_or_default(),
        kind: IdentityKind::Unspecified.into(),
        version: enrolment.version.clone(),
    };
    let response = EnrolmentServiceClient::new(channel)
        .enrol(request)
        .await
        .map_err(|status| EnrolError::Refused(Refusal::from(status)))?
        .into_inner();
    let about = IdentityAbout {
        id: response.worker_id,
        name: response.name,
        namespace: response.namespace,
        endpoint: response.endpoint,
    };
    dir.store(
        &response.certificate_chain_pem,
        &new_key.key_pem,
        &response.ca_bundle_pem,
        &about,
    )?;
    Ok(about)
}
