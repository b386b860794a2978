//! `report.json`.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::report::bars::{Must, judge};
use crate::report::figures::{Figure, Figures};

/// Figures by key: their median, values, spread, ratio and bar.
pub(crate) fn figures(figures: &Figures) -> Value {
    let entries = figures
        .iter()
        .map(|figure| (figure.key.clone(), entry(figures, figure)));
    Value::Object(entries.collect())
}

fn entry(figures: &Figures, figure: &Figure) -> Value {
    let (low, high) = figure.range();
    let mut entry = Map::new();
    let mut put = |name: &str, value: Value| entry.insert(name.to_owned(), value);
    put("value", round(figure.median()));
    put("low", round(low));
    put("high", round(high));
    put("spread", round(figure.spread()));
    put("values", figure.values.iter().copied().map(round).collect());
    if let Some(verdict) = judge(figures, &figure.key) {
        if let Some(other) = verdict.bar.per {
            put("ratio", round(verdict.compared));
            put("ratio_to", json!(other));
        }
        match verdict.bar.must {
            Must::BeAtMost(most) => put("at_most", json!(most)),
            Must::BeAtLeast(least) => put("at_least", json!(least)),
        };
        if let Some(aim) = verdict.bar.aim {
            put("aim", json!(aim));
        }
        put("met", json!(verdict.met));
    }
    Value::Object(entry)
}

/// Four decimals; what is no number is null.
pub(crate) fn round(value: f64) -> Value {
    json!((value * 10_000.0).round() / 10_000.0)
}

/// Writes it, and the folder if need be.
pub(crate) fn write(path: &Path, report: &Value) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
}
