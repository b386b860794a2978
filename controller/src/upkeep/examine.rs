//! What is found out about an installation, and what to do about it. Pure: numbers in, findings out.

use std::collections::BTreeMap;

use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_store::examine::{Examination, TableState};

use super::partitions::RUNWAY_DAYS_MIN;
use crate::loops::Status;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It will be a problem if nobody does anything.
    Warn,
    /// It is a problem.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing.
    pub advice: &'static str,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Dead rows that nobody minds.
const DEAD_ROWS_FREE: u64 = 20_000;
/// Days of partitions that are made ahead, with a day to spare for the loop.
const RUNWAY_DAYS: u32 = 13;

/// Judges an examination. `wall` is the clock of this machine at the moment of the answer, `keep_days` is
/// `retention.days`.
#[must_use]
pub fn judge(
    seen: &Examination,
    wall: Timestamp,
    keep_days: u32,
    loops: &BTreeMap<&'static str, Status>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    durability(seen, &mut findings);
    queue(seen, &mut findings);
    vacuum(seen, &mut findings);
    clock(seen, wall, &mut findings);
    partitions(seen, keep_days, &mut findings);
    versions(seen, &mut findings);
    workers(seen, &mut findings);
    connections(seen, &mut findings);
    upkeep(loops, &mut findings);
    alarms(seen, &mut findings);
    findings
}

/// The worst of them.
#[must_use]
pub fn worst(findings: &[Finding]) -> Verdict {
    findings
        .iter()
        .map(|finding| finding.verdict)
        .max()
        .unwrap_or(Verdict::Ok)
}

/// The advice goes with a verdict that is not ok.
fn finding(check: &'static str, verdict: Verdict, found: String, advice: &'static str) -> Finding {
    Finding {
        check,
        verdict,
        found,
        advice: if verdict == Verdict::Ok { "" } else { advice },
    }
}

fn graded(value: u64, warn_at: u64, bad_at: u64) -> Verdict {
    if value >= bad_at {
        Verdict::Bad
    } else if value >= warn_at {
        Verdict::Warn
    } else {
        Verdict::Ok
    }
}

fn span(millis: Millis) -> String {
    match millis.0 {
        ms if ms < 10 * SECOND => format!("{ms} ms"),
        ms if ms < 10 * MINUTE => format!("{} s", ms / SECOND),
        ms if ms < 10 * HOUR => format!("{} min", ms / MINUTE),
        ms => format!("{} h", ms / HOUR),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        b if b < 10 << 20 => format!("{} KiB", b >> 10),
        b if b < 10 << 30 => format!("{} MiB", b >> 20),
        b => format!("{} GiB", b >> 30),
    }
}

fn durability(seen: &Examination, findings: &mut Vec<Finding>) {
    let server = &seen.server;
    for (check, on, name) in [
        ("settings.fsync", server.fsync, "fsync"),
        (
            "settings.synchronous_commit",
            server.synchronous_commit,
            "synchronous_commit",
        ),
        (
            "settings.full_page_writes",
            server.full_page_writes,
            "full_page_writes",
        ),
    ] {
        findings.push(finding(
            check,
            if on { Verdict::Ok } else { Verdict::Bad },
            format!("{name} is {}", if on { "on" } else { "off" }),
            "accepted work can be lost: turn it on in postgresql.conf and restart the server",
        ));
    }
    let on = server.autovacuum;
    findings.push(finding(
        "settings.autovacuum",
        if on { Verdict::Ok } else { Verdict::Bad },
        format!("autovacuum is {}", if on { "on" } else { "off" }),
        "tables grow without end: turn it on in postgresql.conf and reload the server",
    ));
}

fn queue(seen: &Examination, findings: &mut Vec<Finding>) {
    let queue = &seen.queue;
    let (verdict, found) = match queue.oldest_ready {
        None => (
            Verdict::Ok,
            format!("nothing waits; {} leased", queue.leased),
        ),
        Some(age) => (
            graded(age.0, MINUTE, 15 * MINUTE),
            format!(
                "{} tasks wait, the oldest for {}; {} leased",
                queue.ready,
                span(age),
                queue.leased
            ),
        ),
    };
    findings.push(finding(
        "queue.age",
        verdict,
        found,
        "start workers that offer the capability, or give them more slots: `fulcrum worker list`, `fulcrum capability list`",
    ));
    let late = queue.overdue + queue.timers_late + queue.mail_late;
    findings.push(finding(
        "queue.overdue",
        graded(late, 1, 1_000),
        format!(
            "{} leases, {} timers and {} messages between runs are a minute late",
            queue.overdue, queue.timers_late, queue.mail_late
        ),
        "controllers do not keep up, or a run is refused again and again: look for errors in their logs",
    ));
}

fn vacuum(seen: &Examination, findings: &mut Vec<Finding>) {
    let (verdict, found) = match &seen.xmin {
        None => (Verdict::Ok, "nothing holds vacuum back".to_owned()),
        Some(holder) => {
            let by_time = holder
                .held
                .map_or(Verdict::Ok, |held| graded(held.0, 5 * MINUTE, HOUR));
            let by_age = graded(
                u64::try_from(holder.age).unwrap_or(0),
                2_000_000,
                50_000_000,
            );
            let held = holder
                .held
                .map_or_else(String::new, |held| format!(" for {}", span(held)));
            (
                by_time.max(by_age),
                format!(
                    "{} holds vacuum back{held}, {} transactions",
                    holder.holder, holder.age
                ),
            )
        }
    };
    findings.push(finding(
        "vacuum.xmin",
        verdict,
        found,
        "dead rows cannot be removed and every claim slows down: end that transaction, or drop that replication slot",
    ));
    let excess = |table: &TableState| table.dead.saturating_sub(table.live.max(DEAD_ROWS_FREE));
    let worst = seen.tables.iter().max_by_key(|table| excess(table));
    let bytes: u64 = seen.tables.iter().map(|table| table.bytes).sum();
    let verdict = worst.map_or(Verdict::Ok, |table| graded(excess(table), 1, 1_000_000));
    let found = match worst {
        Some(table) if verdict != Verdict::Ok => format!(
            "{} has {} dead rows beside {} live ones, {}",
            table.name,
            table.dead,
            table.live,
            size(table.bytes)
        ),
        _ => format!("dead rows are few; the hot tables take {}", size(bytes)),
    };
    findings.push(finding(
        "vacuum.dead_rows",
        verdict,
        found,
        "vacuum does not keep up: see vacuum.xmin, then raise autovacuum_max_workers or run VACUUM on that table",
    ));
}

fn clock(seen: &Examination, wall: Timestamp, findings: &mut Vec<Finding>) {
    let (ahead, behind) = (wall.since(seen.server.now), seen.server.now.since(wall));
    let skew = Millis(ahead.0.max(behind.0));
    let word = if ahead.0 > 0 { "ahead of" } else { "behind" };
    findings.push(finding(
        "clock.controller",
        graded(skew.0, 2 * SECOND, MINUTE),
        format!("this controller's clock is {} {word} the database's", span(skew)),
        "leases and timers go by the database's clock alone, certificates do not: synchronise both machines (NTP)",
    ));
}

fn partitions(seen: &Examination, keep_days: u32, findings: &mut Vec<Finding>) {
    let days = &seen.days;
    findings.push(finding(
        "partitions.runway",
        if days.runway < RUNWAY_DAYS_MIN {
            Verdict::Bad
        } else if days.runway < RUNWAY_DAYS {
            Verdict::Warn
        } else {
            Verdict::Ok
        },
        format!("{} days of partitions stand ready", days.runway),
        "the loop `partitions` does not get through: look for its errors in the controllers' logs",
    ));
    let overdue = days.oldest_age_days.saturating_sub(keep_days);
    findings.push(finding(
        "partitions.retention",
        if days.half_gone > 0 || overdue > 30 {
            Verdict::Warn
        } else {
            Verdict::Ok
        },
        format!(
            "{} past days are kept, the oldest {} days old; {} tables are on their way out",
            days.past, days.oldest_age_days, days.half_gone
        ),
        "a long transaction stands in the way (see vacuum.xmin), or a run of that day is still open: `fulcrum run list`",
    ));
}

fn versions(seen: &Examination, findings: &mut Vec<Finding>) {
    let live: Vec<_> = seen
        .controllers
        .iter()
        .filter(|controller| controller.is_live())
        .collect();
    let common = live.iter().map(|controller| controller.level_max).min();
    let ahead = common.is_some_and(|common| common > seen.versions.level);
    let mut builds: Vec<&str> = live
        .iter()
        .map(|controller| controller.build.as_str())
        .collect();
    builds.sort_unstable();
    builds.dedup();
    let mixed = builds.len() > 1;
    findings.push(finding(
        "versions",
        if ahead || mixed {
            Verdict::Warn
        } else {
            Verdict::Ok
        },
        format!(
            "{} live controllers ({}), feature level {}, schema {}",
            live.len(),
            builds.join(", "),
            seen.versions.level.0,
            seen.versions.schema
        ),
        if mixed {
            "an upgrade is under way: finish it, then `fulcrum upgrade finalize`"
        } else {
            "every live controller knows a higher feature level: `fulcrum upgrade finalize`"
        },
    ));
}

fn workers(seen: &Examination, findings: &mut Vec<Finding>) {
    let workers = &seen.workers;
    let lonely = workers.alive == 0 && seen.queue.ready > 0;
    findings.push(finding(
        "workers",
        if lonely { Verdict::Bad } else { Verdict::Ok },
        format!("{} of {} workers are alive", workers.alive, workers.registered),
        "tasks wait and nobody is there to do them: start a worker, `fulcrum worker add` makes a token for one",
    ));
}

fn connections(seen: &Examination, findings: &mut Vec<Finding>) {
    // The lanes keep their few connections busy whenever there is work.
    let busy = |pool: &fulcrum_store::examine::PoolState| {
        pool.name != "commit" && pool.open >= pool.max && pool.idle == 0
    };
    let pools: Vec<String> = seen
        .pools
        .iter()
        .map(|pool| {
            format!(
                "{} {} of {} in use",
                pool.name,
                pool.open.saturating_sub(pool.idle),
                pool.max
            )
        })
        .collect();
    findings.push(finding(
        "connections.pools",
        if seen.pools.iter().any(busy) {
            Verdict::Warn
        } else {
            Verdict::Ok
        },
        pools.join(", "),
        "a pool is used up: the database is slow, or the pool too small (`database.*_connections_max`)",
    ));
    let server = &seen.server;
    let full = u64::from(server.connections) * 100 / u64::from(server.connections_max.max(1));
    findings.push(finding(
        "connections.server",
        graded(full, 80, 95),
        format!(
            "PostgreSQL {}: {} of {} connections",
            server.version, server.connections, server.connections_max
        ),
        "raise max_connections, or put a pooler in between (`database.route`)",
    ));
}

fn upkeep(loops: &BTreeMap<&'static str, Status>, findings: &mut Vec<Finding>) {
    let failing: Vec<String> = loops
        .iter()
        .filter(|(_, status)| status.errors_in_a_row >= 3)
        .map(|(name, status)| {
            let error = status.last_error.as_deref().unwrap_or("no message");
            format!("{name} failed {} times: {error}", status.errors_in_a_row)
        })
        .collect();
    findings.push(finding(
        "loops",
        if failing.is_empty() {
            Verdict::Ok
        } else {
            Verdict::Bad
        },
        if failing.is_empty() {
            format!("{} loops run", loops.len())
        } else {
            failing.join("; ")
        },
        "maintenance does not get through; the message says why",
    ));
}

fn alarms(seen: &Examination, findings: &mut Vec<Finding>) {
    let Some(newest) = seen.alarms.first() else {
        return findings.push(finding(
            "alarms",
            Verdict::Ok,
            "none in the last seven days".to_owned(),
            "",
        ));
    };
    let ago = seen.server.now.since(newest.at);
    findings.push(finding(
        "alarms",
        if ago.0 < 24 * HOUR { Verdict::Bad } else { Verdict::Warn },
        format!("{} ago: {}", span(ago), newest.detail),
        "compare what workers and callers hold with the timelines; the alarm goes by itself after seven days",
    ));
}

#[cfg(test)]
mod tests;
