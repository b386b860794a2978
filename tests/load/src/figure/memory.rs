//! `controller_rss_idle_mb`, and by how much it grows when 100,000 runs sleep:
//! `controller_rss_growth_100k_sleeping_mb`.

use std::time::Duration;

use crate::load::crowd;
use crate::load::starter::Starter;
use crate::meter::memory;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

const SLEEPING: u64 = 100_000;
const SETTLING: Duration = Duration::from_secs(15);

/// Once for each repetition, with a fresh controller: memory that was given back would hide the growth.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    for _ in 0..options.repetitions {
        let installation = Installation::start(options).await?;
        installation.apply(Workflow::Sleeper).await?;
        let channels = installation.channels().await?;
        let pid = installation.controllers[0].pid();
        tokio::time::sleep(options.wait(SETTLING)).await;
        let idle = memory::rss_mb(pid)?;
        record.put("controller_rss_idle_mb", idle);

        let starter = Starter::new(&channels, Workflow::Sleeper);
        crowd::start(&channels[0], &starter, options.count(SLEEPING)).await?;
        tokio::time::sleep(options.wait(SETTLING)).await;
        let growth = memory::rss_mb(pid)? - idle;
        record.put("controller_rss_growth_100k_sleeping_mb", growth);
        record.put(
            "controller_rss_peak_starting_100k_mb",
            memory::rss_peak_mb(pid)?,
        );
    }
    Ok(())
}
