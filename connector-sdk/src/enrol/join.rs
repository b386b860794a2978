//! The call itself, and waiting for somebody to call.

use std::time::Duration;

use fulcrum_proto::{
    common::v1::IdentityKind,
    worker::v1::{EnrolRequest, enrolment_service_client::EnrolmentServiceClient},
};
use tokio_util::sync::CancellationToken;
use tonic::Request;

use super::token::JoinToken;
use crate::{
    backoff::Backoff,
    channel::{self, ConnectError},
    identity::{IdentityAbout, IdentityDir, IdentityError, NewKey},
    refusal::Refusal,
    tls,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

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

impl EnrolError {
    /// Whether joining may succeed later: nobody answers yet, or the controller is busy or leaving.
    fn is_temporary(&self) -> bool {
        match self {
            Self::Connect(ConnectError::Unreachable { .. }) => true,
            Self::Refused(refusal) => refusal.is_temporary(),
            Self::Connect(
                ConnectError::Endpoint { .. }
                | ConnectError::Identity(_)
                | ConnectError::Untrusted { .. },
            )
            | Self::Identity(_) => false,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Connect(_) | Self::Identity(_) => None,
        }
    }
}

/// Who wants to join, and where.
#[derive(Clone)]
pub struct Enrolment {
    /// The controller's enrolment listener: `https://host:port`, or several of these with commas between.
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
    enrol_with(&NewKey::generate()?, enrolment, dir).await
}

/// As [`enrol`], for a program that may be started before its controller: while nobody answers, or the answer is to
/// come back later, it tries again with full jitter, until `stop` trips. Then it gives nothing.
///
/// # Errors
/// What waiting cannot mend: a token that is refused, a server not to be trusted, an identity that cannot be kept.
pub async fn enrol_when_up(
    enrolment: &Enrolment,
    dir: &IdentityDir,
    stop: &CancellationToken,
) -> Result<Option<IdentityAbout>, EnrolError> {
    // One key for all tries: by it a controller can tell a repeated call from a token used twice.
    let new_key = NewKey::generate()?;
    let mut backoff = Backoff::default();
    let joining = async {
        loop {
            match enrol_with(&new_key, enrolment, dir).await {
                Ok(about) => return Ok(about),
                Err(error) if error.is_temporary() => {
                    let pause = backoff.next(error.retry_after());
                    tracing::warn!(%error, ?pause, "not joined yet; will try again");
                    tokio::time::sleep(pause).await;
                }
                Err(error) => return Err(error),
            }
        }
    };
    tokio::select! {
        joined = joining => joined.map(Some),
        () = stop.cancelled() => Ok(None),
    }
}

async fn enrol_with(
    new_key: &NewKey,
    enrolment: &Enrolment,
    dir: &IdentityDir,
) -> Result<IdentityAbout, EnrolError> {
    let config = tls::pinned_config(enrolment.token.authority());
    let endpoints = enrolment.endpoint.parse()?;
    let channel = channel::connect_with(&endpoints, tls::Current::new(config)).await?;
    let mut request = Request::new(EnrolRequest {
        token: enrolment.token.expose().to_owned(),
        csr_der: new_key.csr_der.clone().into(),
        name: enrolment.name.clone().unwrap_or_default(),
        kind: IdentityKind::Unspecified.into(),
        version: enrolment.version.clone(),
    });
    request.set_timeout(ANSWER_TIMEOUT);
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
