//! `idle_transactions_per_min`: one controller, one executor, one connector, nothing to do. Counted by the database
//! itself, its own maintenance included.

use std::time::{Duration, Instant};

use crate::meter::{counters, cpu};
use crate::rig::installation::Installation;
use crate::rig::usage::Usage;
use crate::sitting::{Options, Record};

const WATCHED: Duration = Duration::from_secs(120);

/// Watches nothing happen, once for each repetition.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let mut installation = Installation::start(options).await?;
    installation
        .add_worker(0, "connector", options.slots)
        .await?;
    tokio::time::sleep(counters::SETTLING).await;
    for _ in 0..options.repetitions {
        let before = counters::commits(&installation.postgres)?;
        let used = Usage::read(&installation)?;
        let began = Instant::now();
        tokio::time::sleep(options.wait(WATCHED)).await;
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        let commits = counters::commits(&installation.postgres)? - before;
        record.put("idle_transactions_per_min", commits / minutes);
        let used = Usage::read(&installation)?.since(&used);
        let pct = |seconds: f64| seconds / (minutes * 60.0) * 100.0;
        record.put("idle_controller_cpu_pct", pct(used.controller));
        record.put("idle_postgres_cpu_pct", pct(used.postgres));
    }
    // Named so that a reader can tell an idle backend from maintenance.
    let roles = cpu::of_server_by_role(installation.postgres.pid()?)?;
    record.detail("idle_postgres_cpu_s_by_role", serde_json::json!(roles));
    Ok(())
}
