//! Statements that the database counted, by `pg_stat_statements`.

use fulcrum_e2e::postgres::Postgres;
use serde::Deserialize;

/// What makes the database count them; costs a few per cent.
pub(crate) const COUNTING: &[(&str, &str)] = &[
    ("shared_preload_libraries", "pg_stat_statements"),
    ("pg_stat_statements.track_planning", "on"),
];

const ALL: &str = "select coalesce(json_agg(s), '[]') from (select calls, rows, total_exec_time as ms, \
                   total_plan_time as planning_ms, query from pg_stat_statements \
                   join pg_database d on d.oid = dbid where datname = current_database() \
                   order by total_exec_time + total_plan_time desc) s";

/// One statement, whatever its parameters.
#[derive(Deserialize)]
pub(crate) struct Statement {
    pub(crate) calls: f64,
    pub(crate) rows: f64,
    /// Time in the executor, waits for locks and processors included.
    pub(crate) ms: f64,
    /// Time in the planner.
    pub(crate) planning_ms: f64,
    query: String,
}

impl Statement {
    /// Its text in one line, without comments.
    pub(crate) fn text(&self) -> String {
        let lines = self.query.lines().map(str::trim);
        let lines = lines.filter(|line| !line.starts_with("--"));
        let words = lines.flat_map(str::split_whitespace);
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Begins to count anew, making what is needed for it at the first time.
pub(crate) fn reset(postgres: &Postgres) -> anyhow::Result<()> {
    postgres.value("create extension if not exists pg_stat_statements schema public")?;
    postgres.value("select pg_stat_statements_reset()")?;
    Ok(())
}

/// What was counted, the dearest first.
pub(crate) fn read(postgres: &Postgres) -> anyhow::Result<Vec<Statement>> {
    Ok(serde_json::from_str(&postgres.value(ALL)?)?)
}
