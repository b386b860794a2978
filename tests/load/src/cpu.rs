//! Processor time of processes, from `/proc`.

use std::fs;

use anyhow::Context as _;

/// Clock ticks per second of `/proc/<pid>/stat`; fixed on Linux.
const TICKS_PER_S: f64 = 100.0;

/// Seconds of processor time that a process has used, its dead children not counted.
pub(crate) fn of(pid: u32) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid}"))?;
    let after_name = stat.rsplit_once(')').context("stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_PER_S)
}

/// Of a server and all its children, the dead included.
pub(crate) fn of_tree(pid: u32) -> anyhow::Result<f64> {
    let mut total = of(pid)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("stat")?
        .1
        .split_whitespace()
        .collect();
    total += (fields[13].parse::<f64>()? + fields[14].parse::<f64>()?) / TICKS_PER_S;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(child) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if parent(child) == Some(pid) {
            total += of(child).unwrap_or(0.0);
        }
    }
    Ok(total)
}

/// Resident memory in MiB.
pub(crate) fn rss_mb(pid: u32) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).context("VmRSS")?.parse()?;
    Ok(kib / 1024.0)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()
}
