//! `latency_1step_p50_ms`, `_p99_ms`, `latency_10step_p50_ms`: start to result with nothing else to do.

use crate::load::closed::{self, Until};
use crate::load::starter::Starter;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

/// One run at a time.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let installation = Installation::start(options).await?;
    for steps in [1, 10] {
        let workflow = Workflow::Steps(steps);
        installation.apply(workflow).await?;
        let starter = Starter::new(&[installation.channel().await?], workflow);
        options.warm(&installation, &starter).await?;
        for _ in 0..options.repetitions {
            let outcome = closed::load(&starter, 1, Until::Elapsed(options.short())).await?;
            let latencies = outcome.latencies();
            record.put(&format!("latency_{steps}step_p50_ms"), latencies.ms(0.5));
            record.put(&format!("latency_{steps}step_p99_ms"), latencies.ms(0.99));
        }
    }
    Ok(())
}
