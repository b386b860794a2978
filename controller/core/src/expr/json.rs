//! From values back to JSON.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

use crate::expr::budget::{Budget, Fault};
use crate::expr::value::{List, Map, Val};

/// Deeper results are refused: whoever reads them again would have to recurse as deeply.
const RESULT_DEPTH_MAX: u32 = 64;

/// The value as JSON, charged to the budget. Timestamps become RFC 3339 texts, durations texts in seconds as CEL writes
/// them (`90s`), map keys texts.
pub(super) fn to_json(value: &Val<'_>, budget: &Budget) -> Result<Value, Fault> {
    convert(value, budget, RESULT_DEPTH_MAX)
}

/// As interpolation shows it: texts as they are, null as nothing, everything else as JSON.
pub(super) fn to_text(value: &Val<'_>, budget: &Budget) -> Result<String, Fault> {
    Ok(match to_json(value, budget)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            let text = other.to_string();
            budget.bytes(text.len())?;
            text
        }
    })
}

fn convert(value: &Val<'_>, budget: &Budget, depth: u32) -> Result<Value, Fault> {
    budget.step()?;
    budget.bytes(size_of::<Value>())?;
    let depth = depth.checked_sub(1).ok_or_else(|| {
        Fault::Exhausted(format!(
            "the result is nested deeper than {RESULT_DEPTH_MAX}; make it flatter"
        ))
    })?;
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(b) => Value::Bool(*b),
        Val::Int(i) => Value::Number(Number::from(*i)),
        Val::Uint(u) => Value::Number(Number::from(*u)),
        Val::Double(d) => Value::Number(
            Number::from_f64(*d).ok_or_else(|| Fault::data("the result is not a finite number"))?,
        ),
        Val::Text(text) => {
            budget.scan(text.as_str().len())?;
            budget.bytes(text.as_str().len())?;
            Value::String(text.as_str().to_owned())
        }
        Val::Time(at) => Value::String(at.to_string()),
        Val::Span(span) => Value::String(seconds(*span)),
        Val::List(list) => list_json(list, budget, depth)?,
        Val::Map(map) => map_json(map, budget, depth)?,
    })
}

fn list_json(list: &List<'_>, budget: &Budget, depth: u32) -> Result<Value, Fault> {
    let items = list
        .iter()
        .map(|v| convert(&v, budget, depth))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Value::Array(items))
}

fn map_json(map: &Map<'_>, budget: &Budget, depth: u32) -> Result<Value, Fault> {
    let mut entries: BTreeMap<String, Value> = BTreeMap::new();
    for key in map.keys(budget)? {
        let Some(value) = map.get(&key) else { continue };
        let value = convert(&value, budget, depth)?;
        let name = key.to_string();
        budget.bytes(name.len())?;
        if entries.insert(name.clone(), value).is_some() {
            return Err(Fault::data(format!(
                "two keys of the map are written `{name}` in JSON"
            )));
        }
    }
    Ok(Value::Object(entries.into_iter().collect()))
}

fn seconds(span: jiff::SignedDuration) -> String {
    let sign = if span.is_negative() { "-" } else { "" };
    let (whole, nanos) = (
        span.as_secs().unsigned_abs(),
        span.subsec_nanos().unsigned_abs(),
    );
    if nanos == 0 {
        return format!("{sign}{whole}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{whole}.{}s", fraction.trim_end_matches('0'))
}
