//! `runs_per_s_1step`, `steps_per_s_10step`, and what a run or a step costs of processor time: the closed load at its
//! full height, across a checkpoint like the floor.

use crate::load::closed::{self, Until};
use crate::load::starter::Starter;
use crate::meter::memory;
use crate::rig::installation::Installation;
use crate::rig::usage::Usage;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

/// Measures runs of so many steps.
pub(crate) async fn measure(
    options: &Options,
    record: &mut Record,
    steps: u32,
) -> anyhow::Result<()> {
    let installation = Installation::start(options).await?;
    let workflow = Workflow::Steps(steps);
    installation.apply(workflow).await?;
    let starter = Starter::new(&installation.channels().await?, workflow);
    options.warm(&installation, &starter).await?;
    let until = Until::Elapsed(options.time());
    for _ in 0..options.repetitions {
        let checkpoint = options.checkpoint(&installation.postgres);
        let before = Usage::read(&installation)?;
        let outcome = closed::load(&starter, options.in_flight, until).await?;
        let used = Usage::read(&installation)?.since(&before);
        checkpoint.await??;

        // A run of one step is counted in runs, a run of ten in steps.
        let (unit, key) = (
            if steps == 1 { "run" } else { "step" },
            format!("{steps}step"),
        );
        let units = f64::from(steps);
        record.put(&format!("{unit}s_per_s_{key}"), outcome.per_s() * units);
        let latencies = outcome.latencies();
        record.put(&format!("latency_loaded_{key}_p50_ms"), latencies.ms(0.5));
        record.put(&format!("latency_loaded_{key}_p99_ms"), latencies.ms(0.99));
        let each_us = |seconds: f64| seconds * 1e6 / (outcome.runs() * units);
        record.put(&format!("cpu_us_per_{unit}_{key}"), each_us(used.served()));
        for (part, seconds) in used.parts() {
            record.put(&format!("cpu_us_per_{unit}_{key}_{part}"), each_us(seconds));
        }
        if outcome.refused > 0 {
            record.put(&format!("refused_{key}"), outcome.refused as f64);
        }
    }
    let pid = installation.controllers[0].pid();
    record.put(
        &format!("controller_rss_loaded_{steps}step_mb"),
        memory::rss_peak_mb(pid)?,
    );
    Ok(())
}
