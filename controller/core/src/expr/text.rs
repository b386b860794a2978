//! Functions on texts, lists and numbers.

use std::cmp::Ordering;

use crate::expr::budget::{Budget, Fault};
use crate::expr::eval::Evaluated;
use crate::expr::function::Function;
use crate::expr::operator;
use crate::expr::value::{Text, Val};

pub(super) fn call<'a>(function: Function, args: &[Val<'a>], budget: &Budget) -> Evaluated<'a> {
    match (function, args) {
        (Function::Dyn, [value]) => Ok(value.clone()),
        (Function::Size, [value]) => size(value, budget),
        (Function::String, [value]) => string(value, budget),
        (Function::Int, [value]) => int(value),
        (Function::Uint, [value]) => uint(value),
        (Function::Double, [value]) => double(value),
        (Function::Bool, [value]) => boolean(value),
        (Function::Sort, [Val::List(list)]) => sort(list.iter().collect(), budget),
        (Function::Distinct, [Val::List(list)]) => distinct(list.iter(), budget),
        (Function::Join, [Val::List(list)]) => join(list.iter(), "", budget),
        (Function::Join, [Val::List(list), Val::Text(separator)]) => {
            join(list.iter(), separator.as_str(), budget)
        }
        (_, [Val::Text(text), rest @ ..]) => on_text(function, text.as_str(), rest, budget),
        (_, args) => Err(misfit(function, args)),
    }
}

fn misfit(function: Function, args: &[Val<'_>]) -> Fault {
    let kinds: Vec<&str> = args.iter().map(Val::kind).collect();
    Fault::data(format!(
        "{function}() is not defined for {}",
        kinds.join(", ")
    ))
}

fn on_text<'a>(function: Function, text: &str, rest: &[Val<'a>], budget: &Budget) -> Evaluated<'a> {
    budget.scan(text.len())?;
    match (function, rest) {
        (Function::Contains, [Val::Text(part)]) => Ok(Val::Bool(text.contains(part.as_str()))),
        (Function::StartsWith, [Val::Text(part)]) => Ok(Val::Bool(text.starts_with(part.as_str()))),
        (Function::EndsWith, [Val::Text(part)]) => Ok(Val::Bool(text.ends_with(part.as_str()))),
        (Function::LowerAscii, []) => Val::text(&text.to_ascii_lowercase(), budget),
        (Function::UpperAscii, []) => Val::text(&text.to_ascii_uppercase(), budget),
        (Function::Trim, []) => Val::text(text.trim(), budget),
        (Function::IndexOf, [Val::Text(part)]) => {
            let found = text
                .find(part.as_str())
                .map(|at| text[..at].chars().count());
            Ok(Val::Int(
                found.map_or(-1, |at| i64::try_from(at).unwrap_or(i64::MAX)),
            ))
        }
        (Function::Substring, [from]) => substring(text, from, None, budget),
        (Function::Substring, [from, to]) => substring(text, from, Some(to), budget),
        (Function::Split, [Val::Text(separator)]) => split(text, separator.as_str(), budget),
        (Function::Replace, [Val::Text(from), Val::Text(to)]) => {
            replace(text, from.as_str(), to.as_str(), budget)
        }
        (_, rest) => Err(misfit(function, rest)),
    }
}

fn size<'a>(value: &Val<'a>, budget: &Budget) -> Evaluated<'a> {
    let size = match value {
        Val::Text(text) => {
            budget.scan(text.as_str().len())?;
            text.as_str().chars().count()
        }
        Val::List(list) => list.len(),
        Val::Map(map) => map.len(),
        Val::Null
        | Val::Bool(_)
        | Val::Int(_)
        | Val::Uint(_)
        | Val::Double(_)
        | Val::Time(_)
        | Val::Span(_) => {
            return Err(Fault::data(format!("{} has no size", value.kind())));
        }
    };
    Ok(Val::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn string<'a>(value: &Val<'a>, budget: &Budget) -> Evaluated<'a> {
    match value {
        Val::Text(_) => Ok(value.clone()),
        other => Val::text(&crate::expr::json::to_text(other, budget)?, budget),
    }
}

fn int<'a>(value: &Val<'a>) -> Evaluated<'a> {
    let int = match value {
        Val::Int(_) => return Ok(value.clone()),
        Val::Uint(u) => i64::try_from(*u).ok(),
        // Cut towards zero; the range check is exact because 2^63 is a power of two.
        Val::Double(d) if *d >= -(2f64.powi(63)) && *d < 2f64.powi(63) => Some(*d as i64),
        Val::Text(text) => text.as_str().trim().parse().ok(),
        Val::Time(at) => Some(at.as_second()),
        Val::Null | Val::Bool(_) | Val::Double(_) | Val::Span(_) | Val::List(_) | Val::Map(_) => {
            None
        }
    };
    int.map(Val::Int)
        .ok_or_else(|| conversion(value, "a whole number"))
}

fn uint<'a>(value: &Val<'a>) -> Evaluated<'a> {
    let uint = match value {
        Val::Text(text) => text.as_str().trim().parse().ok(),
        Val::Double(d) if *d >= 0.0 && *d < 2f64.powi(64) => Some(*d as u64),
        other => operator::integer(other).and_then(|i| u64::try_from(i).ok()),
    };
    uint.map(Val::Uint)
        .ok_or_else(|| conversion(value, "a whole number from 0"))
}

fn double<'a>(value: &Val<'a>) -> Evaluated<'a> {
    let double = match value {
        Val::Text(text) => text.as_str().trim().parse().ok(),
        other => operator::float(other),
    };
    operator::finite(double.ok_or_else(|| conversion(value, "a number"))?)
}

fn boolean<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Bool(b) => Ok(Val::Bool(*b)),
        Val::Text(text) if text.as_str() == "true" => Ok(Val::Bool(true)),
        Val::Text(text) if text.as_str() == "false" => Ok(Val::Bool(false)),
        other => Err(conversion(other, "true or false")),
    }
}

fn conversion(value: &Val<'_>, wanted: &str) -> Fault {
    match value {
        Val::Text(text) => {
            let shown: String = text.as_str().chars().take(40).collect();
            Fault::data(format!("`{shown}` is not {wanted}"))
        }
        other => Fault::data(format!("{} cannot be turned into {wanted}", other.kind())),
    }
}

/// Characters `from..to`, counted from 0.
fn substring<'a>(
    text: &str,
    from: &Val<'a>,
    to: Option<&Val<'a>>,
    budget: &Budget,
) -> Evaluated<'a> {
    let position = |value: &Val<'a>| -> Result<usize, Fault> {
        let n = operator::integer(value).and_then(|i| usize::try_from(i).ok());
        n.ok_or_else(|| Fault::data("substring() takes whole numbers from 0"))
    };
    let length = text.chars().count();
    let from = position(from)?;
    let to = to.map_or(Ok(length), position)?;
    if from > to || to > length {
        return Err(Fault::data(format!(
            "substring({from}, {to}) is outside a text of {length} characters"
        )));
    }
    Val::text(
        &text.chars().skip(from).take(to - from).collect::<String>(),
        budget,
    )
}

fn split<'a>(text: &str, separator: &str, budget: &Budget) -> Evaluated<'a> {
    let mut parts = Vec::new();
    for part in text.split(separator) {
        budget.step()?;
        parts.push(Val::text(part, budget)?);
    }
    if separator.is_empty() {
        // Rust gives an empty text before the first and after the last character; CEL gives the characters.
        parts.retain(|p| !matches!(p, Val::Text(t) if t.as_str().is_empty()));
    }
    Val::list(parts, budget)
}

fn replace<'a>(text: &str, from: &str, to: &str, budget: &Budget) -> Evaluated<'a> {
    // Charged before it is made: a short pattern and a long replacement multiply.
    budget.bytes(
        text.matches(from)
            .count()
            .saturating_mul(to.len())
            .saturating_add(text.len()),
    )?;
    Ok(Val::Text(Text::Made(text.replace(from, to).into())))
}

fn join<'a>(
    items: impl Iterator<Item = Val<'a>>,
    separator: &str,
    budget: &Budget,
) -> Evaluated<'a> {
    let mut joined = String::new();
    for (i, item) in items.enumerate() {
        budget.step()?;
        let Val::Text(text) = item else {
            return Err(Fault::data(format!(
                "join() is for a list of texts; element {i} is {}",
                item.kind()
            )));
        };
        if i > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text.as_str());
        budget.bytes(separator.len() + text.as_str().len())?;
    }
    Ok(Val::Text(Text::Made(joined.into())))
}

fn sort<'a>(mut items: Vec<Val<'a>>, budget: &Budget) -> Evaluated<'a> {
    let mut fault = None;
    items.sort_by(|a, b| {
        if fault.is_some() {
            return Ordering::Equal;
        }
        let order = budget.step().and_then(|()| operator::compare(a, b, budget));
        order.unwrap_or_else(|f| {
            fault = Some(f);
            Ordering::Equal
        })
    });
    match fault {
        Some(fault) => Err(fault),
        None => Val::list(items, budget),
    }
}

fn distinct<'a>(items: impl Iterator<Item = Val<'a>>, budget: &Budget) -> Evaluated<'a> {
    let mut kept: Vec<Val<'a>> = Vec::new();
    'items: for item in items {
        for known in &kept {
            if operator::equal(known, &item, budget)? {
                continue 'items;
            }
        }
        kept.push(item);
    }
    Val::list(kept, budget)
}
