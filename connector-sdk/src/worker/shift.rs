//! A registered worker at work, until it has drained.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fulcrum_proto::worker::v1::worker_service_client::WorkerServiceClient;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    desk::{Desk, Outlets},
    polling,
    registering::{Registration, Terms},
    reporting,
    running::{self, Bench},
    serve::WorkerError,
};
use crate::{Capability, channel::Channel, transfer::Transfer};

/// How long, after a drain's time is up, dropped work may take to be reported.
const LAST_REPORTS: Duration = Duration::from_secs(5);

/// The worker's capabilities by name.
pub(super) type Registry = HashMap<String, Arc<dyn Capability>>;

/// A registered worker at work.
pub(super) struct Shift {
    pub(super) desk: Arc<Desk>,
    pub(super) client: WorkerServiceClient<Channel>,
    pub(super) transfer: Transfer,
    pub(super) registry: Registry,
    pub(super) registration: Arc<Registration>,
    pub(super) terms: Terms,
    pub(super) drain_for: Duration,
}

impl Shift {
    pub(super) async fn work(
        self,
        mut outlets: Outlets,
        renewing: impl Future<Output = Result<(), WorkerError>>,
        shutdown: CancellationToken,
    ) -> Result<(), WorkerError> {
        let draining = CancellationToken::new();
        let give_up = CancellationToken::new();
        let bench = Arc::new(Bench {
            client: self.client.clone(),
            transfer: self.transfer.clone(),
            payload_bytes_max: self.terms.payload_bytes_max,
            give_up: give_up.clone(),
        });
        // Dropping a set aborts what is still in it.
        let mut polls = JoinSet::new();
        let mut tasks = JoinSet::new();
        let mut reporter = JoinSet::new();
        reporter.spawn(reporting::report(
            self.client.clone(),
            Arc::clone(&self.desk),
            Arc::clone(&self.registration),
            outlets.reports,
            self.terms.report_batch_max,
        ));
        let mut verdict = Ok(());
        let mut renewing = std::pin::pin!(renewing);
        let mut renewal_ended = false;
        let mut drain_clock = std::pin::pin!(drain_clock(&draining, &give_up, self.drain_for));
        self.desk.begin();
        loop {
            tokio::select! {
                () = self.desk.drained().cancelled() => break,
                () = &mut drain_clock => {
                    let left = self.desk.held();
                    tracing::warn!(left, "the drain's time is up; leaving what is not reported");
                    break;
                }
                () = shutdown.cancelled(), if !draining.is_cancelled() => {
                    tracing::info!("draining");
                    draining.cancel();
                    self.desk.drain();
                }
                Some(poll) = outlets.polls.recv() => {
                    polls.spawn(polling::poll(
                        self.client.clone(),
                        Arc::clone(&self.desk),
                        Arc::clone(&self.registration),
                        poll,
                        self.terms.lease_wait,
                        draining.clone(),
                    ));
                }
                Some(job) = outlets.jobs.recv() => {
                    let capability = self.registry.get(&job.task.capability).cloned();
                    let desk = Arc::clone(&self.desk);
                    let bench = Arc::clone(&bench);
                    tasks.spawn(async move {
                        if let Some(report) = running::run(bench, capability, job).await {
                            desk.finished(report);
                        }
                    });
                }
                Some(polled) = polls.join_next() => {
                    if let Ok(Err(refusal)) = polled && verdict.is_ok() {
                        tracing::error!(%refusal, "the controller refuses this worker; draining");
                        verdict = Err(refusal.into());
                        draining.cancel();
                        self.desk.drain();
                    }
                }
                Some(_) = tasks.join_next() => {}
                renewed = &mut renewing, if !renewal_ended => {
                    renewal_ended = true;
                    if let Err(error) = renewed {
                        tracing::error!(%error, "the certificate will not be renewed");
                    }
                }
            }
        }
        verdict
    }
}

/// Ends when a drain must be over: first, all work is told to give up; then its reports have a little time.
async fn drain_clock(draining: &CancellationToken, give_up: &CancellationToken, time: Duration) {
    draining.cancelled().await;
    tokio::time::sleep(time).await;
    give_up.cancel();
    tokio::time::sleep(LAST_REPORTS).await;
}
