//! `decide_us_per_step`: deciding and folding one step of a run of a hundred, in the pure core.
//!
//! Measured by `controller/core/benches/decide.rs`, which `make bench` runs first; read here from what it left.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::sitting::Record;

/// Steps of the measured run.
const STEPS: f64 = 100.0;
/// What is older was not measured in this sitting.
const AGE_MAX: Duration = Duration::from_secs(3_600);

/// Reads it.
pub(crate) fn measure(record: &mut Record) -> anyhow::Result<()> {
    let here = std::env::current_exe()?;
    let target = here.parent().and_then(Path::parent);
    let target = target.context("a program lives in a folder of the target folder")?;
    let file = target.join("criterion/decide_100_steps/new/estimates.json");
    let hint = || format!("{}: cargo bench -p fulcrum-core", file.display());
    let text = std::fs::read_to_string(&file).with_context(hint)?;
    let age = std::fs::metadata(&file)?
        .modified()?
        .elapsed()
        .unwrap_or_default();
    anyhow::ensure!(age <= AGE_MAX, "measured {age:?} ago; {}", hint());
    let estimates: serde_json::Value = serde_json::from_str(&text)?;
    let whole_ns = estimates["median"]["point_estimate"].as_f64();
    record.put(
        "decide_us_per_step",
        whole_ns.with_context(hint)? / STEPS / 1_000.0,
    );
    Ok(())
}
