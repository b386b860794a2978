//! Remembering the signed heads of the record, now and then.

use std::{convert::Infallible, time::Duration};

use fulcrum_proto::audit::v1::audit_service_client::AuditServiceClient;

use crate::{backoff::random_fraction, channel::Channel, identity::IdentityDir, witness};

/// Between looks, spread by half.
const PERIOD: Duration = Duration::from_secs(15 * 60);

/// Looks again and again. What it finds wrong is told in the log, at every look until somebody has mended it; the worker
/// goes on meanwhile.
pub(super) async fn witness(
    mut client: AuditServiceClient<Channel>,
    dir: IdentityDir,
) -> Infallible {
    loop {
        match witness::look(&mut client, &dir).await {
            Ok(seen) => tracing::debug!(size = seen.head.size, "saw a signed head"),
            Err(error) if error.is_alarm() => {
                tracing::error!(alarm = %error, "the record is not what this worker has seen");
            }
            Err(error) => tracing::warn!(%error, "could not look at the record"),
        }
        tokio::time::sleep(PERIOD.mul_f64(0.75 + random_fraction() / 2.0)).await;
    }
}
