//! The floor: what the database does alone, measured in the same sitting.

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;

/// Transactions per second of `pgbench` simple-update, 32 clients, prepared statements, over TCP loopback.
pub(crate) fn pgbench_simple_update_tps(postgres: &Postgres, seconds: u64) -> anyhow::Result<f64> {
    postgres.client("createdb", &["floor"])?;
    postgres.client("pgbench", &["-i", "-q", "-s", "20", "floor"])?;
    let seconds = seconds.to_string();
    let output = postgres.client(
        "pgbench",
        &[
            "-N", "-M", "prepared", "-c", "32", "-j", "2", "-T", &seconds, "floor",
        ],
    )?;
    let line = output
        .lines()
        .find(|line| line.starts_with("tps ="))
        .context("pgbench told no tps")?;
    let tps = line
        .split_whitespace()
        .nth(2)
        .context("pgbench told no tps")?
        .parse()?;
    postgres.client("dropdb", &["floor"])?;
    Ok(tps)
}
