//! Keeping the certificate fresh.

use std::time::Duration;

use fulcrum_proto::worker::v1::{
    RenewCertificateRequest, worker_service_client::WorkerServiceClient,
};

use super::{polling::timed, serve::WorkerError};
use crate::{
    backoff::{Backoff, random_fraction},
    channel::Channel,
    clock,
    identity::{CertificateLife, IdentityDir, NewKey},
    refusal::Refusal,
    tls,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Between tries: a certificate has hours left when it is first renewed.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// Renews the certificate again and again, each time with a new key; new connections use it.
///
/// # Errors
/// Only what no later try can mend: the identity's files.
pub(super) async fn renew(
    mut client: WorkerServiceClient<Channel>,
    dir: IdentityDir,
    tls: tls::Current,
) -> Result<(), WorkerError> {
    let mut backoff = Backoff::default();
    loop {
        let identity = dir.load()?;
        let leaf = identity.certificates.first();
        let life = leaf.map(CertificateLife::of).transpose()?;
        let Some(life) = life else {
            return Ok(());
        };
        let due = life.renew_at(random_fraction());
        let wait = due.duration_since(clock::wall()).unwrap_or_default();
        tokio::time::sleep(wait).await;
        loop {
            match once(&mut client, &dir, &tls).await {
                Ok(()) => break,
                Err(Attempt::Refused(refusal)) => {
                    tracing::warn!(%refusal, "cannot renew the certificate; will try again");
                    tokio::time::sleep(RETRY_PAUSE + backoff.next(refusal.retry_after)).await;
                }
                Err(Attempt::Failed(error)) => return Err(error),
            }
        }
        backoff.reset();
        tracing::info!("the certificate was renewed");
    }
}

enum Attempt {
    Refused(Refusal),
    Failed(WorkerError),
}

async fn once(
    client: &mut WorkerServiceClient<Channel>,
    dir: &IdentityDir,
    tls: &tls::Current,
) -> Result<(), Attempt> {
    let failed = |error: WorkerError| Attempt::Failed(error);
    let new_key = NewKey::generate().map_err(|error| failed(error.into()))?;
    let request = RenewCertificateRequest {
        csr_der: new_key.csr_der.into(),
    };
    let response = client
        .renew_certificate(timed(request, ANSWER_TIMEOUT))
        .await
        .map_err(|status| Attempt::Refused(Refusal::from(status)))?
        .into_inner();
    dir.replace(
        &response.certificate_chain_pem,
        &new_key.key_pem,
        &response.ca_bundle_pem,
    )
    .map_err(|error| failed(error.into()))?;
    let identity = dir.load().map_err(|error| failed(error.into()))?;
    let config = tls::mutual_config(&identity)
        .map_err(|error| failed(crate::ConnectError::from(error).into()))?;
    tls.replace(config);
    Ok(())
}
