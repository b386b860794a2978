//! Where a run's microseconds, rows and bytes go.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::meter::statements::Statement;
use crate::report::file::round;

/// Statements and counts shown on the terminal; the file has all.
const SHOWN: usize = 14;
const TEXT_MAX: usize = 88;

/// All of it, for each run.
pub(crate) struct Profile {
    /// Runs that were looked at.
    pub(crate) runs: f64,
    /// Microseconds of processor time by process.
    pub(crate) cpu_us: BTreeMap<String, f64>,
    /// Microseconds of processor time by role of the database's processes.
    pub(crate) postgres_cpu_us: BTreeMap<String, f64>,
    /// What the database counted.
    pub(crate) counted: BTreeMap<String, f64>,
    /// Its statements, the dearest first. These counts are of all runs together.
    pub(crate) statements: Vec<Statement>,
}

impl Profile {
    /// Something that the database counted.
    pub(crate) fn count(&self, name: &str) -> f64 {
        self.counted.get(name).copied().unwrap_or(0.0)
    }

    /// Rows inserted, updated and deleted, in all tables.
    pub(crate) fn rows(&self) -> f64 {
        let kinds = [".inserted", ".updated", ".deleted"];
        let of_rows = |name: &str| kinds.iter().any(|kind| name.ends_with(kind));
        let counted = self.counted.iter().filter(|(name, _)| of_rows(name));
        counted.map(|(_, each)| each).sum()
    }

    /// Statements executed.
    pub(crate) fn calls(&self) -> f64 {
        self.statements.iter().map(|one| one.calls).sum::<f64>() / self.runs
    }

    /// For `report.json`.
    pub(crate) fn json(&self) -> Value {
        let map = |map: &BTreeMap<String, f64>| -> Value {
            let entries = map.iter().map(|(name, each)| (name.clone(), round(*each)));
            Value::Object(entries.collect())
        };
        let statements = self.statements.iter().map(|one| {
            json!({
                "calls_per_run": round(one.calls / self.runs),
                "rows_per_call": round(one.rows / one.calls),
                "us_per_call": round(one.ms * 1_000.0 / one.calls),
                "us_per_run": round(one.ms * 1_000.0 / self.runs),
                "us_planning_per_run": round(one.planning_ms * 1_000.0 / self.runs),
                "statement": one.text(),
            })
        });
        json!({
            "runs": self.runs,
            "cpu_us_per_run": map(&self.cpu_us),
            "postgres_cpu_us_per_run_by_role": map(&self.postgres_cpu_us),
            "counted_per_run": map(&self.counted),
            "statements": statements.collect::<Value>(),
        })
    }

    /// For the terminal.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let mut list = |title: &str, map: &BTreeMap<String, f64>| {
            text += &format!("  {title}\n");
            for (name, each) in map {
                text += &format!("    {name:<42} {each:>14.3}\n");
            }
        };
        list("processor time, µs a run", &self.cpu_us);
        list(
            "of the database's processes, µs a run",
            &self.postgres_cpu_us,
        );
        list("counted by the database, a run", &self.counted);
        text += "  statements: calls a run, µs a call, µs a run (waits included), µs of planning a run\n";
        for one in self.statements.iter().take(SHOWN) {
            let line: String = one.text().chars().take(TEXT_MAX).collect();
            let calls = one.calls / self.runs;
            let us = one.ms * 1_000.0;
            let (call, run) = (us / one.calls, us / self.runs);
            let planning = one.planning_ms * 1_000.0 / self.runs;
            text += &format!("    {calls:>8.3} {call:>9.1} {run:>9.1} {planning:>9.1}  {line}\n");
        }
        text
    }
}
