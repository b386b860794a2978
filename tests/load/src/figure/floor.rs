//! `pgbench_simple_update_tps`, `commit_latency_p50_ms`, `_p99_ms`: what the database does alone.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;

use crate::load::outcome::Latencies;
use crate::rig::cluster;
use crate::sitting::{Options, Record};

/// Size of the pgbench database: five million accounts.
const SCALE: &str = "50";

/// One row changed, one commit.
const ONE_ROW: &str = "\\set aid random(1, 100000 * :scale)
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
";

/// Makes a pgbench database and measures it.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let postgres = cluster::start(&options.postgres)?;
    record.settings(cluster::settings(&postgres)?);
    client(&postgres, "createdb", &["floor"]).await?;
    client(&postgres, "pgbench", &["-i", "-q", "-s", SCALE, "floor"]).await?;
    let seconds = options.seconds.to_string();
    for _ in 0..options.repetitions {
        let checkpoint = options.checkpoint(&postgres);
        let load = [
            "-N", "-M", "prepared", "-c", "32", "-j", "2", "-T", &seconds, "floor",
        ];
        let output = client(&postgres, "pgbench", &load).await?;
        checkpoint.await??;
        record.put("pgbench_simple_update_tps", tps(&output)?);
    }
    let home = tempfile::tempdir()?;
    for _ in 0..options.repetitions {
        let latencies = commit_latencies(&postgres, home.path(), options).await?;
        record.put("commit_latency_p50_ms", latencies.ms(0.5));
        record.put("commit_latency_p99_ms", latencies.ms(0.99));
    }
    Ok(())
}

/// One client that changes one row at a time.
async fn commit_latencies(
    postgres: &Arc<Postgres>,
    home: &Path,
    options: &Options,
) -> anyhow::Result<Latencies> {
    let script = home.join("one-row.sql");
    std::fs::write(&script, ONE_ROW)?;
    let log = home.join("log");
    let (script, prefix) = (script.display().to_string(), log.display().to_string());
    let seconds = options.short().as_secs().to_string();
    let load = [
        "-n",
        "-f",
        &script,
        "-M",
        "prepared",
        "-c",
        "1",
        "-T",
        &seconds,
        "-l",
        "--log-prefix",
        &prefix,
        "-s",
        SCALE,
        "floor",
    ];
    client(postgres, "pgbench", &load).await?;
    let mut latencies = Vec::new();
    for entry in std::fs::read_dir(home)?.flatten() {
        if !entry.file_name().to_string_lossy().starts_with("log.") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path())?;
        std::fs::remove_file(entry.path())?;
        for line in text.lines() {
            // client, transaction, microseconds, script, when
            let us = line.split_whitespace().nth(2).context("pgbench's log")?;
            latencies.push(us.parse()?);
        }
    }
    anyhow::ensure!(!latencies.is_empty(), "pgbench logged nothing");
    Ok(Latencies::new(latencies))
}

fn tps(output: &str) -> anyhow::Result<f64> {
    let line = output.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = line.and_then(|line| line.split_whitespace().next());
    Ok(tps.context("pgbench told no tps")?.parse()?)
}

/// Runs a client program on a thread of its own.
async fn client(postgres: &Arc<Postgres>, name: &str, args: &[&str]) -> anyhow::Result<String> {
    let (postgres, name) = (Arc::clone(postgres), name.to_owned());
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        postgres.client(&name, &args)
    })
    .await?
}
