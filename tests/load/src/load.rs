//! The load: starts that wait for their result, so many in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fulcrum_proto::common::v1::Payload;
use fulcrum_proto::workflow::v1::run_spec::Definition;
use fulcrum_proto::workflow::v1::{RunSpec, RunStatus, StartRunRequest};
use fulcrum_sdk::{channel::Channel, client};

/// What a load did.
pub(crate) struct Outcome {
    /// Runs completed.
    pub(crate) runs: u64,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Start to result of each run, sorted.
    pub(crate) latencies: Vec<Duration>,
}

impl Outcome {
    /// Runs per second.
    pub(crate) fn runs_per_s(&self) -> f64 {
        self.runs as f64 / self.elapsed.as_secs_f64()
    }

    /// A quantile of the latency, in milliseconds.
    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        let index = (self.latencies.len() as f64 * quantile) as usize;
        let at = index.min(self.latencies.len().saturating_sub(1));
        self.latencies
            .get(at)
            .map_or(0.0, |latency| latency.as_secs_f64() * 1_000.0)
    }
}

/// Starts runs of `workflow` for `time`, `in_flight` at once, each waiting for its result.
pub(crate) async fn run(
    channel: &Channel,
    workflow: &str,
    in_flight: usize,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let began = Instant::now();
    let counter = Arc::new(AtomicU64::new(0));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (channel, workflow, counter) =
            (channel.clone(), workflow.to_owned(), Arc::clone(&counter));
        lanes.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < time {
                let n = counter.fetch_add(1, Ordering::Relaxed);
                let started = Instant::now();
                one(&channel, &workflow, n).await?;
                latencies.push(started.elapsed());
            }
            anyhow::Ok(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(lane) = lanes.join_next().await {
        latencies.extend(lane??);
    }
    latencies.sort_unstable();
    Ok(Outcome {
        runs: latencies.len() as u64,
        elapsed: began.elapsed(),
        latencies,
    })
}

async fn one(channel: &Channel, workflow: &str, n: u64) -> anyhow::Result<()> {
    let input = serde_json::json!({ "n": n, "text": "x".repeat(1_000) });
    let spec = RunSpec {
        definition: Some(Definition::Workflow(workflow.to_owned())),
        input: Some(Payload {
            encoding: "json".to_owned(),
            data: input.to_string().into_bytes().into(),
        }),
        ..RunSpec::default()
    };
    let request = StartRunRequest {
        namespace: "default".to_owned(),
        spec: Some(spec),
        wait: Some(
            std::time::Duration::from_secs(30)
                .try_into()
                .context("thirty seconds")?,
        ),
        ..StartRunRequest::default()
    };
    let run = client::runs(channel.clone())
        .start_run(request)
        .await?
        .into_inner()
        .run
        .context("no run")?;
    anyhow::ensure!(
        run.status() == RunStatus::Completed,
        "{} is {:?}",
        run.run_id,
        run.status()
    );
    Ok(())
}
