//! `ready_to_started_p50_ms`, `_p99_ms`: from the moment a task is ready to the first line of the capability, at half
//! of peak load.
//!
//! A run of one step is ready when it is started, so the beginning is the run's `started_at`: the instant, by the
//! database's clock, at which the start was decided, before its commit. The end is read off the machine's clock by the
//! capability itself. All is on one machine, and `started_at` is cut to milliseconds: the figure may be too high by
//! up to one.

use anyhow::Context as _;
use fulcrum_proto::workflow::v1::Run;

use crate::load::closed::{self, Until};
use crate::load::outcome::Latencies;
use crate::load::paced;
use crate::load::starter::Starter;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};
use crate::worker::Echoed;

/// Measures the peak of this installation first, then loads it with half of that.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let installation = Installation::start(options).await?;
    let workflow = Workflow::Steps(1);
    installation.apply(workflow).await?;
    let starter = Starter::new(&installation.channels().await?, workflow);
    options.warm(&installation, &starter).await?;
    let until = Until::Elapsed(options.short());
    let peak = closed::load(&starter, options.in_flight, until)
        .await?
        .per_s();
    for _ in 0..options.repetitions {
        let paced = paced::load(&starter, peak / 2.0, options.short(), ready_to_started_us).await?;
        let refused = paced.refused;
        anyhow::ensure!(refused * 100 < paced.seen.len() as u64, "{refused} refused");
        let latencies = Latencies::new(paced.seen);
        record.put("ready_to_started_p50_ms", latencies.ms(0.5));
        record.put("ready_to_started_p99_ms", latencies.ms(0.99));
        record.put("ready_to_started_load_per_s", paced.per_s);
    }
    Ok(())
}

fn ready_to_started_us(run: &Run) -> anyhow::Result<u64> {
    let ready = run.started_at.context("a run without started_at")?;
    let ready_us = ready.seconds * 1_000_000 + i64::from(ready.nanos) / 1_000;
    let output = run.output.as_ref().context("a run without output")?;
    let echoed: Echoed = serde_json::from_slice(&output.data)?;
    Ok(u64::try_from(echoed.started_us - ready_us).unwrap_or(0))
}
