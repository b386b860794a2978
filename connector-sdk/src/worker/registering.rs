//! Telling the controller what this worker can do, and learning its terms.

use std::time::Duration;

use fulcrum_proto::worker::v1::{
    RegisterRequest, RegisterResponse, worker_service_client::WorkerServiceClient,
};

use super::polling::timed;
use crate::{backoff::Backoff, channel::Channel, refusal::Refusal, wire};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// What to go by where the controller says nothing.
const BEAT_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const LEASE_WAIT_DEFAULT: Duration = Duration::from_secs(40);
const LEASE_BATCH_DEFAULT: u32 = 100;
const REPORT_BATCH_DEFAULT: u32 = 100;
const PAYLOAD_BYTES_DEFAULT: u64 = 4 << 20;

/// What this worker tells about itself.
pub(super) struct Registration {
    pub(super) request: RegisterRequest,
}

impl Registration {
    /// Registers, for as long as it takes.
    ///
    /// # Errors
    /// A refusal that waiting cannot mend.
    pub(super) async fn renew(
        &self,
        client: &mut WorkerServiceClient<Channel>,
    ) -> Result<RegisterResponse, Refusal> {
        let mut backoff = Backoff::default();
        loop {
            let call = client.register(timed(self.request.clone(), ANSWER_TIMEOUT));
            match call.await.map_err(Refusal::from) {
                Ok(response) => return Ok(response.into_inner()),
                Err(refusal) if refusal.is_temporary() => {
                    let pause = backoff.next(refusal.retry_after);
                    tracing::warn!(%refusal, ?pause, "cannot register; will try again");
                    tokio::time::sleep(pause).await;
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }
}

/// The controller's terms, with defaults where it says nothing.
pub(super) struct Terms {
    pub(super) beat_interval: Duration,
    pub(super) lease_wait: Duration,
    pub(super) lease_batch_max: u32,
    pub(super) report_batch_max: usize,
    pub(super) payload_bytes_max: usize,
}

impl Terms {
    pub(super) fn of(registered: &RegisterResponse) -> Self {
        let limits = registered.limits.unwrap_or_default();
        let or = |told: u32, default: u32| if told == 0 { default } else { told };
        let payload_bytes = match limits.payload_bytes_max {
            0 => PAYLOAD_BYTES_DEFAULT,
            told => told,
        };
        let beat_interval = registered.heartbeat_interval.map(wire::std_duration);
        let lease_wait = limits.lease_wait_max.map(wire::std_duration);
        Self {
            beat_interval: beat_interval
                .filter(|interval| !interval.is_zero())
                .unwrap_or(BEAT_INTERVAL_DEFAULT),
            lease_wait: lease_wait
                .unwrap_or(LEASE_WAIT_DEFAULT)
                .min(LEASE_WAIT_DEFAULT),
            lease_batch_max: or(limits.lease_batch_max, LEASE_BATCH_DEFAULT),
            report_batch_max: or(limits.report_batch_max, REPORT_BATCH_DEFAULT) as usize,
            payload_bytes_max: usize::try_from(payload_bytes).unwrap_or(usize::MAX),
        }
    }
}
