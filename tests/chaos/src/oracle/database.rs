//! What the database says of itself: I1, I10, I11 (tables), I12.

use std::collections::BTreeMap;

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;
use fulcrum_e2e::timeline;

use super::{Evidence, Invariant, Violation};

/// A run's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `completed`, `running` …
    pub status: String,
    /// Events written.
    pub last_seq: u64,
    /// The hash of the last one, in hexadecimal digits.
    pub chain: String,
}

/// Statements that must count nothing once everything is at rest.
const NOTHING: &[(Invariant, &str, &str)] = &[
    (
        Invariant::I10,
        "tasks in another namespace than their run",
        "select count(*) from tasks t join runs r using (shard, run_id) where t.namespace_id <> r.namespace_id",
    ),
    (
        Invariant::I10,
        "tasks leased to a worker of another namespace",
        "select count(*) from tasks t join workers w using (worker_id) where t.namespace_id <> w.namespace_id",
    ),
    (
        Invariant::I11,
        "tasks of closed runs",
        "select count(*) from tasks t join runs r using (shard, run_id) where r.closed_at is not null",
    ),
    (
        Invariant::I11,
        "timers of closed runs",
        "select count(*) from timers t join runs r using (shard, run_id) where r.closed_at is not null",
    ),
    (
        Invariant::I11,
        "mail that nobody consumed",
        "select count(*) from mail",
    ),
    (
        Invariant::I11,
        "connections idle inside a transaction",
        "select count(*) from pg_stat_activity where application_name = 'fulcrum' and state like 'idle in transaction%' \
         and state_change < now() - interval '2 s'",
    ),
    (
        Invariant::I12,
        "runs whose last number is not the count of their events",
        "select count(*) from runs r where last_seq <> (select coalesce(sum(case when e.kind < 0 then e.schema else 1 end), 0) \
         from events e where e.shard = r.shard and e.stream = r.run_id)",
    ),
    (
        Invariant::I12,
        "joins whose count of closed children is not the count of their items",
        "select count(*) from joins j where closed <> (select count(*) from join_items i \
         where i.shard = j.shard and i.run_id = j.run_id and i.step = j.step)",
    ),
    (
        Invariant::I12,
        "closed runs without the time of closing, or open ones with it",
        "select count(*) from runs where (closed_at is null) <> (status in ('running', 'cancelling'))",
    ),
];

/// Takes the counts.
pub(crate) fn counts(postgres: &Postgres) -> anyhow::Result<Vec<(Invariant, &'static str, u64)>> {
    let sql: Vec<String> = NOTHING.iter().map(|(.., sql)| format!("({sql})")).collect();
    let answer = postgres.value(&format!("select concat_ws(',', {})", sql.join(", ")))?;
    let counts = answer.split(',').zip(NOTHING);
    counts
        .map(|(count, (invariant, what, _))| Ok((*invariant, *what, count.parse()?)))
        .collect()
}

/// Reads the rows of these runs; one that is missing is left out.
pub(crate) fn rows<'r>(
    postgres: &Postgres,
    runs: impl Iterator<Item = &'r str>,
) -> anyhow::Result<BTreeMap<String, Row>> {
    let mut ids = BTreeMap::new();
    for run in runs {
        let id = uuid::Uuid::from_u128(timeline::uuid(run)?);
        ids.insert(id.to_string(), run.to_owned());
    }
    let sql = "select coalesce(string_agg(concat_ws(' ', run_id, status, last_seq, encode(chain, 'hex')), ','), '') from runs";
    let answer = postgres.value(sql)?;
    let mut rows = BTreeMap::new();
    for line in answer.split(',').filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let mut word = || words.next().context("four columns");
        let (id, status, last_seq, chain) = (word()?, word()?, word()?, word()?);
        if let Some(run) = ids.get(id) {
            let row = Row {
                status: status.to_owned(),
                last_seq: last_seq.parse()?,
                chain: chain.to_owned(),
            };
            rows.insert(run.clone(), row);
        }
    }
    Ok(rows)
}

pub(super) fn check(evidence: &Evidence, violations: &mut Vec<Violation>) {
    for accepted in &evidence.accepted {
        let found = evidence.rows.get(&accepted.run_id);
        let what = match found.map(|row| row.status.as_str()) {
            None => "was accepted and is not in the database",
            Some("running" | "cancelling") => "was accepted and never ended",
            Some("failed" | "cancelled") if evidence.terms.all_complete => {
                "was accepted and did not complete"
            }
            Some(_) => continue,
        };
        let story = evidence.timelines.get(&accepted.run_id);
        let last = story
            .and_then(|events| {
                events
                    .iter()
                    .rev()
                    .find(|event| event.kind.contains("Fail"))
            })
            .map_or("", |event| &event.summary);
        violations.push(Violation {
            invariant: Invariant::I1,
            what: format!("{} ({}) {what}: {last}", accepted.run_id, accepted.key),
        });
    }
    for (invariant, what, count) in &evidence.counts {
        if *count > 0 {
            violations.push(Violation {
                invariant: *invariant,
                what: format!("{count} {what}"),
            });
        }
    }
}
