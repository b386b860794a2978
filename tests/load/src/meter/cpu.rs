//! Processor time of processes, from `/proc`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context as _;

/// Clock ticks per second of `/proc/<pid>/stat`; fixed on Linux.
const TICKS_PER_S: f64 = 100.0;

/// Fields of `/proc/<pid>/stat` after the name, counted from 0.
const PARENT: usize = 1;
const OWN: [usize; 2] = [11, 12];
const OF_REAPED_CHILDREN: [usize; 2] = [13, 14];

/// Seconds of processor time that a process has used with all its threads, its children not counted.
pub(crate) fn of(pid: u32) -> anyhow::Result<f64> {
    ticks(pid, OWN)
}

/// Of a database server and all its backends, those that ended included.
pub(crate) fn of_server(pid: u32) -> anyhow::Result<f64> {
    let mut total = of(pid)? + ticks(pid, OF_REAPED_CHILDREN)?;
    for child in children(pid)? {
        // One that ended between the two looks is in the sum of the reaped next time.
        total += of(child).unwrap_or(0.0);
    }
    Ok(total)
}

/// Of a database server's living processes by what they are for: `backends`, `walwriter`, `checkpointer` …
pub(crate) fn of_server_by_role(pid: u32) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut roles = BTreeMap::new();
    for child in children(pid)? {
        let title = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let title = title.trim_end_matches('\0').trim();
        let role = title.strip_prefix("postgres: ").unwrap_or(title);
        let role = match role {
            "checkpointer" | "walwriter" | "background writer" => role.replace(' ', "_"),
            _ if role.starts_with("autovacuum") => "autovacuum".to_owned(),
            _ if role.starts_with("logical") => continue,
            _ => "backends".to_owned(),
        };
        *roles.entry(role).or_insert(0.0) += of(child).unwrap_or(0.0);
    }
    Ok(roles)
}

fn children(parent: u32) -> anyhow::Result<Vec<u32>> {
    let processes = fs::read_dir("/proc")?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_parent = |pid: &u32| {
        let fields = fields(*pid).ok();
        fields.is_some_and(|fields| fields.get(PARENT) == Some(&parent.to_string()))
    };
    Ok(pids.filter(of_parent).collect())
}

fn ticks(pid: u32, of: [usize; 2]) -> anyhow::Result<f64> {
    let fields = fields(pid)?;
    let mut sum = 0.0;
    for index in of {
        sum += fields
            .get(index)
            .context("/proc/<pid>/stat is short")?
            .parse::<f64>()?;
    }
    Ok(sum / TICKS_PER_S)
}

/// What follows the name, which may itself hold spaces and brackets.
fn fields(pid: u32) -> anyhow::Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    let (_, rest) = stat.rsplit_once(')').context("/proc/<pid>/stat is odd")?;
    Ok(rest.split_whitespace().map(str::to_owned).collect())
}
