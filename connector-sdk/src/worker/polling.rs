//! Asking for tasks.

use std::{sync::Arc, time::Duration};

use fulcrum_proto::{
    common::v1::ErrorReason,
    worker::v1::{LeaseTasksRequest, Task, worker_service_client::WorkerServiceClient},
};
use tokio_util::sync::CancellationToken;
use tonic::Request;

use super::{
    desk::{Desk, Poll},
    registering::Registration,
};
use crate::{
    backoff::Backoff, channel::Channel, refusal::Refusal, transfer::WHOLE_BYTES_MAX, wire,
};

/// How much longer than its wait a call may take.
const ANSWER_SLACK: Duration = Duration::from_secs(10);
/// How long to ask, when leaving, whether a call given up had brought anything.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes one call for tasks and hands in what it brought.
///
/// # Errors
/// The refusal, if the controller will not serve this worker any more.
pub(super) async fn poll(
    client: WorkerServiceClient<Channel>,
    desk: Arc<Desk>,
    registration: Arc<Registration>,
    poll: Poll,
    wait: Duration,
    draining: CancellationToken,
) -> Result<(), Refusal> {
    let call_id = random_uuid();
    let mut asking = client.clone();
    let answered = tokio::select! {
        answered = ask(&mut asking, &registration, &call_id, poll.slots, wait) => answered,
        () = draining.cancelled() => Ok(recover(client, call_id).await),
    };
    let (tasks, verdict) = match answered {
        Ok(tasks) => (tasks, Ok(())),
        Err(refusal) => (Vec::new(), Err(refusal)),
    };
    desk.polled(poll.id, tasks);
    verdict
}

/// Asks, under the same id, until there is an answer. Between an empty answer and its return lies the pause the
/// controller asked for.
async fn ask(
    client: &mut WorkerServiceClient<Channel>,
    registration: &Registration,
    call_id: &str,
    slots: u32,
    wait: Duration,
) -> Result<Vec<Task>, Refusal> {
    let mut backoff = Backoff::default();
    loop {
        let request = LeaseTasksRequest {
            capabilities: Vec::new(),
            slots,
            wait: Some(wire::duration(wait)),
            call_id: call_id.to_owned(),
            whole_bytes_max: WHOLE_BYTES_MAX as u64,
        };
        let answer = client
            .lease_tasks(timed(request, wait + ANSWER_SLACK))
            .await;
        match answer.map_err(Refusal::from) {
            Ok(response) => {
                let response = response.into_inner();
                if response.tasks.is_empty()
                    && let Some(pause) = response.retry_after
                {
                    tokio::time::sleep(wire::std_duration(pause)).await;
                }
                return Ok(response.tasks);
            }
            Err(refusal) if refusal.reason == Some(ErrorReason::NotRegistered) => {
                registration.renew(client).await?;
                tokio::time::sleep(backoff.next(refusal.retry_after)).await;
            }
            Err(refusal) if refusal.is_temporary() => {
                let pause = backoff.next(refusal.retry_after);
                tracing::warn!(%refusal, ?pause, "cannot ask for tasks; will try again");
                tokio::time::sleep(pause).await;
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

/// Asks what a call that was given up had been granted, so that nothing is granted and never begun. If this
/// fails too, such a task waits for its lease to end.
async fn recover(mut client: WorkerServiceClient<Channel>, call_id: String) -> Vec<Task> {
    let request = LeaseTasksRequest {
        capabilities: Vec::new(),
        slots: 0,
        wait: None,
        call_id,
        whole_bytes_max: WHOLE_BYTES_MAX as u64,
    };
    let call = client.lease_tasks(timed(request, RECOVERY_TIMEOUT));
    match tokio::time::timeout(RECOVERY_TIMEOUT, call).await {
        Ok(Ok(response)) => response.into_inner().tasks,
        Ok(Err(status)) => {
            tracing::debug!(%status, "cannot ask what the last call had been granted");
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

pub(super) fn timed<T>(message: T, timeout: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}

fn random_uuid() -> String {
    let mut bytes = [0; 16];
    // Without randomness there is no id, and the call is not repeatable.
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}
