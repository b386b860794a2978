//! The sitting: floor, warm-up, repetitions, report.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::installation::Installation;
use crate::{cpu, floor, load};

/// How to measure.
pub(crate) struct Options {
    /// Seconds per repetition.
    pub(crate) seconds: u64,
    /// Repetitions.
    pub(crate) repetitions: usize,
    /// Starts in flight.
    pub(crate) in_flight: usize,
    /// Where the report goes.
    pub(crate) report: PathBuf,
}

/// Figures by name, in the order they were measured.
struct Report(Map<String, Value>);

impl Report {
    fn put(&mut self, name: &str, value: f64) {
        println!("{name:<36} {value:>12.2}");
        self.0
            .insert(name.to_owned(), json!((value * 100.0).round() / 100.0));
    }

    fn get(&self, name: &str) -> f64 {
        self.0.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
    }
}

/// Measures and writes the report.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let mut report = Report(Map::new());
    let installation = Installation::start(64).await?;
    let time = Duration::from_secs(options.seconds);
    report.put(
        "controller_rss_idle_mb",
        cpu::rss_mb(installation.controller.pid())?,
    );
    report.put(
        "pgbench_simple_update_tps",
        floor::pgbench_simple_update_tps(&installation.postgres, options.seconds)?,
    );
    // Warm, and with statistics.
    load::run(
        &installation.channel,
        "bench-1",
        options.in_flight,
        time / 2,
    )
    .await?;
    installation.postgres.value("analyze")?;

    let alone = load::run(&installation.channel, "bench-1", 1, time / 2).await?;
    report.put("latency_1step_p50_ms", alone.latency_ms(0.5));
    report.put("latency_1step_p99_ms", alone.latency_ms(0.99));
    let alone = load::run(&installation.channel, "bench-10", 1, time / 2).await?;
    report.put("latency_10step_p50_ms", alone.latency_ms(0.5));

    throughput(&mut report, &installation, options, 1).await?;
    throughput(&mut report, &installation, options, 10).await?;
    report.put(
        "controller_rss_loaded_mb",
        cpu::rss_mb(installation.controller.pid())?,
    );
    let floor = report.get("pgbench_simple_update_tps");
    report.put("ratio_runs_1step", report.get("runs_per_s_1step") / floor);
    report.put(
        "ratio_steps_10step",
        report.get("steps_per_s_10step") / floor,
    );

    if let Some(folder) = options.report.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(&Value::Object(report.0))?;
    std::fs::write(&options.report, text + "\n").context("write the report")?;
    println!("written to {}", options.report.display());
    Ok(())
}

async fn throughput(
    report: &mut Report,
    installation: &Installation,
    options: &Options,
    steps: u32,
) -> anyhow::Result<()> {
    let time = Duration::from_secs(options.seconds);
    let mut outcomes = Vec::new();
    for _ in 0..options.repetitions.max(1) {
        let before = processors(installation)?;
        let outcome = load::run(
            &installation.channel,
            &format!("bench-{steps}"),
            options.in_flight,
            time,
        )
        .await?;
        let after = processors(installation)?;
        let used: Vec<f64> = after
            .iter()
            .zip(before)
            .map(|(after, before)| after - before)
            .collect();
        outcomes.push((outcome, used));
    }
    outcomes.sort_by(|(a, _), (b, _)| a.runs_per_s().total_cmp(&b.runs_per_s()));
    let spread = outcomes.last().map_or(0.0, |(best, _)| best.runs_per_s())
        / outcomes
            .first()
            .map_or(1.0, |(worst, _)| worst.runs_per_s());
    let middle = outcomes.len() / 2;
    let (outcome, used) = &outcomes[middle];
    let key = format!("{steps}step");
    report.put(&format!("runs_per_s_{key}"), outcome.runs_per_s());
    report.put(
        &format!("steps_per_s_{key}"),
        outcome.runs_per_s() * f64::from(steps),
    );
    report.put(&format!("spread_{key}"), spread);
    report.put(
        &format!("loaded_latency_{key}_p50_ms"),
        outcome.latency_ms(0.5),
    );
    report.put(
        &format!("loaded_latency_{key}_p99_ms"),
        outcome.latency_ms(0.99),
    );
    let per_run = |seconds: f64| seconds * 1e6 / outcome.runs as f64;
    for (name, seconds) in ["postgres", "controller", "worker", "generator"]
        .iter()
        .zip(used)
    {
        report.put(&format!("cpu_us_per_run_{key}_{name}"), per_run(*seconds));
    }
    let served: f64 = used[..3].iter().sum();
    report.put(&format!("cpu_us_per_run_{key}"), per_run(served));
    Ok(())
}

/// Processor seconds of database, controller, worker and this process.
fn processors(installation: &Installation) -> anyhow::Result<[f64; 4]> {
    Ok([
        cpu::of_tree(installation.postgres.pid()?)?,
        cpu::of(installation.controller.pid())?,
        cpu::of(installation.worker.pid())?,
        cpu::of(std::process::id())?,
    ])
}
