//! Recording completed operations under a lease.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fulcrum_proto::{
    common::v1::ErrorReason,
    worker::v1::{
        AppendJournalRequest, append_journal_result::Result as Recorded,
        journal_entry::Outcome as Completed, worker_service_client::WorkerServiceClient,
    },
};
use tokio_util::sync::CancellationToken;

use super::{fitting::fit, polling::timed};
use crate::{
    Failure, Sent,
    backoff::Backoff,
    channel::Channel,
    code,
    journal::{operation::Entry, recorder::Recorder},
    refusal::Refusal,
    transfer::Transfer,
    wire,
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) struct LeaseRecorder {
    pub(super) client: WorkerServiceClient<Channel>,
    pub(super) transfer: Transfer,
    pub(super) namespace: String,
    pub(super) lease: Bytes,
    pub(super) payload_bytes_max: usize,
    /// Stops the task when its lease turns out to be lost.
    pub(super) stop: CancellationToken,
}

#[async_trait]
impl Recorder for LeaseRecorder {
    async fn record(&self, entry: Entry) -> Result<(), Failure> {
        let name = entry.name.clone();
        let mut entry = wire::entry(entry);
        if let Some(Completed::Output(output)) = &mut entry.outcome {
            let what = format!("the result of step {name:?}");
            fit(&what, output, self.payload_bytes_max)?;
            let lighter = self.transfer.lighten(&self.namespace, output.clone()).await;
            *output = lighter.map_err(|error| refused(&name, None, &error.to_string()))?;
        }
        let request = AppendJournalRequest {
            lease: self.lease.clone(),
            entries: vec![entry],
        };
        let mut client = self.client.clone();
        let mut backoff = Backoff::default();
        let results = loop {
            let call = client.append_journal(timed(request.clone(), ANSWER_TIMEOUT));
            match call.await.map_err(Refusal::from) {
                Ok(response) => break response.into_inner().results,
                Err(refusal) if refusal.is_temporary() => {
                    let pause = backoff.next(refusal.retry_after);
                    tracing::warn!(%refusal, ?pause, "cannot record {name:?}; will try again");
                    tokio::time::sleep(pause).await;
                }
                Err(refusal) => {
                    if refusal.reason == Some(ErrorReason::LeaseLost) {
                        self.stop.cancel();
                    }
                    return Err(refused(&name, refusal.reason, &refusal.message));
                }
            }
        };
        match results.into_iter().next().and_then(|result| result.result) {
            Some(Recorded::Recorded(_)) => Ok(()),
            Some(Recorded::Error(error)) => {
                let reason = ErrorReason::try_from(error.reason).ok();
                Err(refused(&name, reason, &error.message))
            }
            None => Err(refused(&name, None, "the controller's answer is empty")),
        }
    }
}

/// The step was done but is not recorded: what becomes of it on a retry is not known.
fn refused(name: &str, reason: Option<ErrorReason>, message: &str) -> Failure {
    let code = reason.map_or(code::JOURNAL_REFUSED, ErrorReason::name);
    let message = format!("step {name:?} was done and cannot be recorded: {message}");
    Failure::unknown(code, message).sent(Sent::Yes)
}
