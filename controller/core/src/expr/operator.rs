//! Operators on values.

use std::cmp::Ordering;

use crate::expr::budget::{Budget, Fault};
use crate::expr::eval::Evaluated;
use crate::expr::tree::Binary;
use crate::expr::value::{Key, List, Map, Val};

/// Values nested deeper than this are not compared.
const COMPARE_DEPTH_MAX: u32 = 128;

pub(super) fn binary<'a>(
    operator: Binary,
    left: &Val<'a>,
    right: &Val<'a>,
    budget: &Budget,
) -> Evaluated<'a> {
    let order =
        |wanted: &[Ordering]| Ok(Val::Bool(wanted.contains(&compare(left, right, budget)?)));
    match operator {
        Binary::Equal => Ok(Val::Bool(equal(left, right, budget)?)),
        Binary::NotEqual => Ok(Val::Bool(!equal(left, right, budget)?)),
        Binary::Less => order(&[Ordering::Less]),
        Binary::LessEqual => order(&[Ordering::Less, Ordering::Equal]),
        Binary::Greater => order(&[Ordering::Greater]),
        Binary::GreaterEqual => order(&[Ordering::Greater, Ordering::Equal]),
        Binary::In => contains(right, left, budget),
        Binary::Add => add(left, right, budget),
        Binary::Subtract => subtract(left, right),
        Binary::Multiply => arithmetic("*", left, right, i128::checked_mul, |a, b| a * b),
        Binary::Divide => arithmetic("/", left, right, i128::checked_div, |a, b| a / b),
        Binary::Remainder => arithmetic("%", left, right, i128::checked_rem, |a, b| a % b),
    }
}

pub(super) fn negate<'a>(operand: &Val<'a>) -> Evaluated<'a> {
    match operand {
        Val::Span(span) => span
            .checked_neg()
            .map(Val::Span)
            .ok_or_else(|| Fault::data("the duration is too long")),
        other => arithmetic("-", &Val::Int(0), other, i128::checked_sub, |_, b| -b),
    }
}

fn add<'a>(left: &Val<'a>, right: &Val<'a>, budget: &Budget) -> Evaluated<'a> {
    match (left, right) {
        (Val::Text(a), Val::Text(b)) => {
            budget.bytes(a.as_str().len() + b.as_str().len())?;
            Val::text(&[a.as_str(), b.as_str()].concat(), budget)
        }
        (Val::List(a), Val::List(b)) => {
            budget.steps((a.len() + b.len()) as u64)?;
            Val::list(a.iter().chain(b.iter()).collect(), budget)
        }
        (Val::Time(at), Val::Span(span)) | (Val::Span(span), Val::Time(at)) => at
            .checked_add(*span)
            .map(Val::Time)
            .map_err(|_| Fault::data("the timestamp is out of range")),
        (Val::Span(a), Val::Span(b)) => a
            .checked_add(*b)
            .map(Val::Span)
            .ok_or_else(|| Fault::data("the duration is too long")),
        (Val::Text(_), _) | (_, Val::Text(_)) => Err(Fault::data(format!(
            "`+` cannot join {} and {}; turn the other one into a text with string(x)",
            left.kind(),
            right.kind()
        ))),
        _ => arithmetic("+", left, right, i128::checked_add, |a, b| a + b),
    }
}

fn subtract<'a>(left: &Val<'a>, right: &Val<'a>) -> Evaluated<'a> {
    match (left, right) {
        (Val::Time(a), Val::Time(b)) => Ok(Val::Span(a.duration_since(*b))),
        (Val::Time(at), Val::Span(span)) => at
            .checked_sub(*span)
            .map(Val::Time)
            .map_err(|_| Fault::data("the timestamp is out of range")),
        (Val::Span(a), Val::Span(b)) => a
            .checked_sub(*b)
            .map(Val::Span)
            .ok_or_else(|| Fault::data("the duration is too long")),
        _ => arithmetic("-", left, right, i128::checked_sub, |a, b| a - b),
    }
}

/// Whole numbers stay whole; with a fraction on either side the result is a fraction.
fn arithmetic<'a>(
    sign: &str,
    left: &Val<'a>,
    right: &Val<'a>,
    whole: fn(i128, i128) -> Option<i128>,
    fraction: fn(f64, f64) -> f64,
) -> Evaluated<'a> {
    if let (Some(a), Some(b)) = (integer(left), integer(right)) {
        if b == 0 && matches!(sign, "/" | "%") {
            return Err(Fault::data("division by zero"));
        }
        let result = whole(a, b).ok_or_else(overflow)?;
        return match (i64::try_from(result), u64::try_from(result)) {
            (Ok(int), _) => Ok(Val::Int(int)),
            (Err(_), Ok(uint)) => Ok(Val::Uint(uint)),
            (Err(_), Err(_)) => Err(overflow()),
        };
    }
    match (float(left), float(right)) {
        (Some(a), Some(b)) => finite(fraction(a, b)),
        (None, _) | (_, None) => Err(Fault::data(format!(
            "`{sign}` is not defined for {} and {}",
            left.kind(),
            right.kind()
        ))),
    }
}

fn overflow() -> Fault {
    Fault::data("the number is too large")
}

/// A fraction that JSON can carry.
pub(super) fn finite<'a>(value: f64) -> Evaluated<'a> {
    if value.is_finite() {
        Ok(Val::Double(value))
    } else {
        Err(Fault::data("the result is not a finite number"))
    }
}

pub(super) fn integer(value: &Val<'_>) -> Option<i128> {
    match value {
        Val::Int(i) => Some(i128::from(*i)),
        Val::Uint(u) => Some(i128::from(*u)),
        Val::Null
        | Val::Bool(_)
        | Val::Double(_)
        | Val::Text(_)
        | Val::Time(_)
        | Val::Span(_)
        | Val::List(_)
        | Val::Map(_) => None,
    }
}

pub(super) fn float(value: &Val<'_>) -> Option<f64> {
    match value {
        Val::Double(d) => Some(*d),
        other => integer(other).map(|i| i as f64),
    }
}

/// Values of different types are unequal, never an error; numbers compare by their value.
pub(super) fn equal(left: &Val<'_>, right: &Val<'_>, budget: &Budget) -> Result<bool, Fault> {
    equal_within(left, right, budget, COMPARE_DEPTH_MAX)
}

fn equal_within(
    left: &Val<'_>,
    right: &Val<'_>,
    budget: &Budget,
    depth: u32,
) -> Result<bool, Fault> {
    budget.step()?;
    let depth = depth
        .checked_sub(1)
        .ok_or_else(|| Fault::data("the values are nested too deeply to be compared"))?;
    match (left, right) {
        (Val::Null, Val::Null) => Ok(true),
        (Val::Bool(a), Val::Bool(b)) => Ok(a == b),
        (Val::Text(a), Val::Text(b)) => {
            budget.scan(a.as_str().len().min(b.as_str().len()))?;
            Ok(a.as_str() == b.as_str())
        }
        (Val::Time(a), Val::Time(b)) => Ok(a == b),
        (Val::Span(a), Val::Span(b)) => Ok(a == b),
        (Val::List(a), Val::List(b)) => equal_lists(a, b, budget, depth),
        (Val::Map(a), Val::Map(b)) => equal_maps(a, b, budget, depth),
        _ => Ok(numbers(left, right) == Some(Ordering::Equal)),
    }
}

fn equal_lists(a: &List<'_>, b: &List<'_>, budget: &Budget, depth: u32) -> Result<bool, Fault> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (x, y) in a.iter().zip(b.iter()) {
        if !equal_within(&x, &y, budget, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(a: &Map<'_>, b: &Map<'_>, budget: &Budget, depth: u32) -> Result<bool, Fault> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for key in a.keys(budget)? {
        match (a.get(&key), b.get(&key)) {
            (Some(x), Some(y)) if equal_within(&x, &y, budget, depth)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The order of two values of one ordered type.
pub(super) fn compare(left: &Val<'_>, right: &Val<'_>, budget: &Budget) -> Result<Ordering, Fault> {
    match (left, right) {
        (Val::Text(a), Val::Text(b)) => {
            budget.scan(a.as_str().len().min(b.as_str().len()))?;
            Ok(a.as_str().cmp(b.as_str()))
        }
        (Val::Bool(a), Val::Bool(b)) => Ok(a.cmp(b)),
        (Val::Time(a), Val::Time(b)) => Ok(a.cmp(b)),
        (Val::Span(a), Val::Span(b)) => Ok(a.cmp(b)),
        _ => numbers(left, right).ok_or_else(|| {
            Fault::data(format!(
                "{} and {} have no order",
                left.kind(),
                right.kind()
            ))
        }),
    }
}

fn numbers(left: &Val<'_>, right: &Val<'_>) -> Option<Ordering> {
    match (integer(left), integer(right)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        // Above 2^53 a fraction has no decimals, so comparing as integers is exact; below, as fractions.
        (Some(a), None) => float(right).map(|b| mixed(a, b)),
        (None, Some(b)) => float(left).map(|a| mixed(b, a).reverse()),
        (None, None) => float(left)?.partial_cmp(&float(right)?),
    }
}

fn mixed(whole: i128, fraction: f64) -> Ordering {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if fraction.abs() < EXACT && whole.unsigned_abs() < (1 << 53) {
        (whole as f64)
            .partial_cmp(&fraction)
            .unwrap_or(Ordering::Equal)
    } else {
        // The cast saturates, which keeps the order.
        whole.cmp(&(fraction as i128))
    }
}

fn contains<'a>(container: &Val<'a>, wanted: &Val<'a>, budget: &Budget) -> Evaluated<'a> {
    match container {
        Val::List(list) => {
            for element in list.iter() {
                if equal(&element, wanted, budget)? {
                    return Ok(Val::Bool(true));
                }
            }
            Ok(Val::Bool(false))
        }
        Val::Map(map) => Ok(Val::Bool(
            Key::of(wanted).ok().and_then(|key| map.get(&key)).is_some(),
        )),
        other => Err(Fault::data(format!(
            "`in` looks into a list or a map, not {}",
            other.kind()
        ))),
    }
}
