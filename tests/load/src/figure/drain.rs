//! `drain_runs_per_s`: 100,000 runs are queued while no worker is there; then one comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fulcrum_e2e::postgres::Postgres;

use crate::load::crowd;
use crate::load::starter::Starter;
use crate::rig::installation::Installation;
use crate::rig::usage::Usage;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

const QUEUED: u64 = 100_000;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long nothing may be finished before the figure is given up.
const STANDSTILL_MAX: Duration = Duration::from_secs(60);
const DRAIN_MAX: Duration = Duration::from_secs(25);

/// Queues and drains, once for each repetition.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let mut installation = Installation::start(options).await?;
    let workflow = Workflow::Steps(1);
    installation.apply(workflow).await?;
    let channels = installation.channels().await?;
    let starter = Starter::new(&channels, workflow);
    options.warm(&installation, &starter).await?;
    let queued = options.count(QUEUED);
    for _ in 0..options.repetitions {
        for mut worker in installation.workers.drain(..) {
            worker.terminate(DRAIN_MAX).await?;
        }
        crowd::start(&channels[0], &starter, queued).await?;
        installation.analyse()?;
        installation
            .add_worker(0, "executor", options.slots)
            .await?;
        let before = Usage::read(&installation)?;
        let time = emptied(&installation.postgres).await?;
        let used = Usage::read(&installation)?.since(&before);
        record.put("drain_runs_per_s", queued as f64 / time.as_secs_f64());
        record.put("drain_cpu_us_per_run", used.served() * 1e6 / queued as f64);
    }
    Ok(())
}

/// How long it takes until no run is open.
async fn emptied(postgres: &Arc<Postgres>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let (mut least, mut moved) = (u64::MAX, Instant::now());
    loop {
        let postgres = Arc::clone(postgres);
        let look = move || postgres.value("select count(*) from runs where closed_at is null");
        let open: u64 = tokio::task::spawn_blocking(look).await??.parse()?;
        if open == 0 {
            return Ok(began.elapsed());
        }
        if open < least {
            (least, moved) = (open, Instant::now());
        }
        let standstill = moved.elapsed();
        anyhow::ensure!(standstill < STANDSTILL_MAX, "{open} runs stay open");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
