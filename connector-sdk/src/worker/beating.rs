//! Renewing leases, on a thread, runtime and connection of its own.

use std::{io, sync::Arc, thread, time::Duration};

use fulcrum_proto::worker::v1::{HeartbeatLease, HeartbeatRequest, LeaseState};
use tokio_util::sync::CancellationToken;

use super::{desk::Desk, polling::timed};
use crate::{
    channel, client,
    endpoints::Endpoints,
    lease::{Input, LeaseToken, Standing},
    refusal::Refusal,
    tls,
};

/// How often, and to whom.
pub(super) struct Beating {
    pub(super) endpoints: Endpoints,
    pub(super) tls: tls::Current,
    pub(super) interval: Duration,
    pub(super) batch_max: usize,
}

/// Starts the thread. It ends when `stop` trips.
pub(super) fn start(
    beating: Beating,
    desk: Arc<Desk>,
    stop: CancellationToken,
) -> io::Result<thread::JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("fulcrum-heartbeat".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = beat(beating, desk) => {}
                    () = stop.cancelled() => {}
                }
            });
        })
}

async fn beat(beating: Beating, desk: Arc<Desk>) {
    let route = channel::route_lazy(&beating.endpoints, beating.tls);
    let mut client = client::worker(channel::traced(route.clone()));
    loop {
        let (due, pause) = desk.tick();
        let Some(leases) = due else {
            tokio::time::sleep(pause).await;
            continue;
        };
        let mut standings = Vec::with_capacity(leases.len());
        let mut failed = None;
        for batch in leases.chunks(beating.batch_max) {
            let call = client.heartbeat(timed(request(batch), beating.interval));
            match tokio::time::timeout(beating.interval, call).await {
                Ok(Ok(response)) => {
                    let states = response.into_inner().results;
                    let states = states.into_iter().map(|result| standing(result.state()));
                    standings.extend(batch.iter().cloned().zip(states));
                }
                Ok(Err(status)) => {
                    let refusal = Refusal::from(status);
                    tracing::warn!(%refusal, "heartbeat failed; work goes on");
                    failed = failed.max(Some(refusal.retry_after.unwrap_or_default()));
                }
                Err(_) => {
                    tracing::warn!("heartbeat got no answer; work goes on");
                    route.move_on();
                    failed = failed.max(Some(Duration::ZERO));
                }
            }
        }
        desk.beaten(Input::BeatAnswered(standings));
        if let Some(retry_after) = failed {
            desk.beaten(Input::BeatFailed { retry_after });
        }
    }
}

fn request(leases: &[LeaseToken]) -> HeartbeatRequest {
    let lease = |lease: &LeaseToken| HeartbeatLease {
        lease: lease.0.clone(),
        progress: None,
    };
    HeartbeatRequest {
        leases: leases.iter().map(lease).collect(),
    }
}

fn standing(state: LeaseState) -> Standing {
    match state {
        LeaseState::Lost => Standing::Lost,
        LeaseState::CancelRequested => Standing::CancelRequested,
        // A state this version does not know is no reason to stop work.
        LeaseState::Held | LeaseState::Unspecified => Standing::Held,
    }
}
