//! `profile_…`: where a run's microseconds and bytes go. A pass of its own, because the database counts each
//! statement in it and that costs: rows written by table, log bytes, commits and statements for each run, and
//! processor time by process and by role of the database's processes.

use serde_json::{Value, json};

use crate::load::closed::{self, Until};
use crate::load::starter::Starter;
use crate::meter::counters::{Counters, SETTLING};
use crate::meter::cpu;
use crate::report::file;
use crate::rig::installation::Installation;
use crate::rig::usage::Usage;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

/// Settings that make the database count statements.
const COUNTING: &[(&str, &str)] = &[("shared_preload_libraries", "pg_stat_statements")];

/// The dearest statements, with calls, rows and milliseconds of time.
const STATEMENTS: &str = "select coalesce(json_agg(s), '[]') from (select calls, rows, total_exec_time as ms, \
                          regexp_replace(query, '\\s+', ' ', 'g') as statement from pg_stat_statements \
                          where dbid = (select oid from pg_database where datname = current_database()) \
                          order by total_exec_time desc limit 40) s";

/// Profiles runs of one and of ten steps.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let mut installation = Installation::bare(options, &[], COUNTING).await?;
    installation
        .add_worker(0, "executor", options.slots)
        .await?;
    let postgres = &installation.postgres;
    postgres.value("create extension pg_stat_statements schema public")?;
    for steps in [1, 10] {
        let workflow = Workflow::Steps(steps);
        installation.apply(workflow).await?;
        let starter = Starter::new(&installation.channels().await?, workflow);
        options.warm(&installation, &starter).await?;
        tokio::time::sleep(SETTLING).await;
        postgres.value("select pg_stat_statements_reset()")?;
        let before = Counters::read(postgres)?;
        let roles_before = cpu::of_server_by_role(postgres.pid()?)?;
        let used = Usage::read(&installation)?;
        let until = Until::Elapsed(options.short());
        let runs = closed::load(&starter, options.in_flight, until)
            .await?
            .runs();
        let used = Usage::read(&installation)?.since(&used);
        let roles = cpu::of_server_by_role(postgres.pid()?)?;
        let dearest = statements(&postgres.value(STATEMENTS)?, runs)?;
        tokio::time::sleep(SETTLING).await;
        let counted = Counters::read(postgres)?.since(&before, runs);

        let key = format!("{steps}step");
        let each_us = |seconds: f64| file::round(seconds * 1e6 / runs);
        let roles = roles.into_iter().map(|(role, seconds)| {
            let before = roles_before.get(&role).copied().unwrap_or(0.0);
            (role, each_us(seconds - before))
        });
        for name in ["wal_bytes", "commits"] {
            let each = counted.get(name).copied().unwrap_or(0.0);
            record.put(&format!("profile_{name}_per_run_{key}"), each);
        }
        record.put(&format!("profile_statements_per_run_{key}"), dearest.calls);
        let rows: f64 = ["inserted", "updated", "deleted"]
            .iter()
            .map(|kind| sum_of(&counted, kind))
            .sum();
        record.put(&format!("profile_rows_per_run_{key}"), rows);
        let parts = used
            .parts()
            .map(|(part, seconds)| (part.to_owned(), each_us(seconds)));
        let counted = counted
            .into_iter()
            .map(|(name, each)| (name, file::round(each)));
        record.detail(
            &format!("profile_{key}"),
            json!({
                "runs": runs,
                "cpu_us_per_run": Value::Object(parts.into_iter().collect()),
                "postgres_cpu_us_per_run_by_role": Value::Object(roles.collect()),
                "counted_per_run": Value::Object(counted.collect()),
                "statements_per_run": dearest.list,
            }),
        );
    }
    Ok(())
}

fn sum_of(counted: &std::collections::BTreeMap<String, f64>, kind: &str) -> f64 {
    let of_kind = counted
        .iter()
        .filter(|(name, _)| name.rsplit_once('.').is_some_and(|(_, last)| last == kind));
    of_kind.map(|(_, each)| each).sum()
}

struct Dearest {
    /// Calls of all of them, for each run.
    calls: f64,
    list: Value,
}

fn statements(text: &str, runs: f64) -> anyhow::Result<Dearest> {
    let rows: Vec<Value> = serde_json::from_str(text)?;
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap_or(0.0);
    let calls = rows.iter().map(|row| number(row, "calls")).sum::<f64>() / runs;
    let list = rows.iter().map(|row| {
        let calls = number(row, "calls");
        json!({
            "calls_per_run": file::round(calls / runs),
            "rows_per_call": file::round(number(row, "rows") / calls),
            "us_per_call": file::round(number(row, "ms") * 1_000.0 / calls),
            "us_per_run": file::round(number(row, "ms") * 1_000.0 / runs),
            "statement": row["statement"],
        })
    });
    Ok(Dearest {
        calls,
        list: list.collect(),
    })
}
