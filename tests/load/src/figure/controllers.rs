//! `two_controllers_ratio`: throughput of two controllers on one database ÷ of one, on the same two cores with as many
//! slots.

use std::time::Duration;

use crate::load::closed::{self, Until};
use crate::load::outcome::Outcome;
use crate::load::starter::Starter;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

const DRAIN_MAX: Duration = Duration::from_secs(25);

/// One, then two, in each repetition.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let mut installation = Installation::start(options).await?;
    let workflow = Workflow::Steps(1);
    installation.apply(workflow).await?;
    let starter = Starter::new(&installation.channels().await?, workflow);
    options.warm(&installation, &starter).await?;
    for _ in 0..options.repetitions {
        let one = throughput(&installation, options, workflow).await?;
        installation.add_controller().await?;
        staff(&mut installation, options).await?;
        let two = throughput(&installation, options, workflow).await?;
        record.put("two_controllers_ratio", two.per_s() / one.per_s());
        record.put("two_controllers_runs_per_s", two.per_s());
        record.put("two_controllers_p99_ms", two.latencies().ms(0.99));

        let mut second = installation.controllers.pop();
        if let Some(second) = &mut second {
            second.terminate().await?;
        }
        staff(&mut installation, options).await?;
    }
    Ok(())
}

/// New workers, one for each controller, with the slots shared out.
async fn staff(installation: &mut Installation, options: &Options) -> anyhow::Result<()> {
    for mut worker in installation.workers.drain(..) {
        worker.terminate(DRAIN_MAX).await?;
    }
    let controllers = installation.controllers.len();
    let slots = options.slots / u32::try_from(controllers)?;
    for controller in 0..controllers {
        installation
            .add_worker(controller, "executor", slots)
            .await?;
    }
    Ok(())
}

async fn throughput(
    installation: &Installation,
    options: &Options,
    workflow: Workflow,
) -> anyhow::Result<Outcome> {
    let starter = Starter::new(&installation.channels().await?, workflow);
    options.warm(installation, &starter).await?;
    let until = Until::Elapsed(options.short());
    closed::load(&starter, options.in_flight, until).await
}
