//! Values: names, numbers, durations, expressions, templates.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::definition::diagnostic::{Code, hint};
use crate::definition::model::{Expr, Template};
use crate::definition::parse::fields::{At, Problems};
use crate::definition::source::{Content, Node, join};
use crate::expr::{template, time};
use crate::time::Millis;

/// Longest span that a definition may ask for: ten years.
const SPAN_MS_MAX: u64 = 10 * 366 * 24 * 60 * 60 * 1000;

/// `[a-z][a-z0-9_-]*`, at most 64 bytes.
pub(super) fn step_id(at: At<'_>) -> Option<String> {
    let text = at.text("an id")?;
    let ok = text.len() <= 64 && is_word(text, |c| c == '_' || c == '-');
    accept(
        at,
        ok,
        text,
        "an id is a lower-case letter followed by at most 63 letters, digits, `_` and `-`",
    )
}

/// Lower-case words joined by `-`, at most 128 bytes.
pub(super) fn workflow_name(at: At<'_>) -> Option<String> {
    let text = at.text("a workflow's name")?;
    let ok = text.len() <= 128
        && text
            .split('-')
            .all(|word| !word.is_empty() && is_word_or_number(word))
        && text.starts_with(|c: char| c.is_ascii_lowercase());
    accept(
        at,
        ok,
        text,
        "a workflow's name is lower-case words joined by `-`, at most 128 characters",
    )
}

/// Words joined by `.`, at most 128 bytes.
pub(super) fn capability_name(at: At<'_>) -> Option<String> {
    let text = at.text("a capability's name")?;
    let ok = text.len() <= 128
        && text
            .split('.')
            .all(|word| is_word(word, |c| c == '_' || c == '-'));
    accept(
        at,
        ok,
        text,
        "a capability's name is lower-case words joined by `.`, such as `crm.contact.upsert`",
    )
}

/// A name for people and programs: a signal, a checkpoint.
pub(super) fn label(at: At<'_>) -> Option<String> {
    let text = at.text("a name")?;
    let ok = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':'));
    accept(
        at,
        ok,
        text,
        "a name is 1 to 64 letters, digits, `_`, `-`, `.` and `:`",
    )
}

/// `UPPER_SNAKE`, at most 64 bytes.
pub(super) fn failure_code(at: At<'_>) -> Option<String> {
    let text = at.text("a failure code")?;
    let ok = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    accept(
        at,
        ok,
        text,
        "a failure code is written in capitals, such as `CARD_DECLINED`",
    )
}

fn is_word(text: &str, also: fn(char) -> bool) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || also(c))
}

fn is_word_or_number(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn accept(at: At<'_>, ok: bool, text: &str, rule: &str) -> Option<String> {
    if !ok {
        let shown: String = text.chars().take(40).collect();
        at.report(
            Code::InvalidValue,
            format!("`{shown}` is not allowed here: {rule}"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// A whole number in a range.
pub(super) fn whole(at: At<'_>, least: u64, most: u64) -> Option<u64> {
    let Content::Number(number) = &at.node.content else {
        at.wrong_type("a whole number");
        return None;
    };
    let found = number.as_u64().filter(|n| (least..=most).contains(n));
    if found.is_none() {
        at.report(
            Code::InvalidValue,
            format!("this must be a whole number from {least} to {most}, not {number}"),
        );
    }
    found
}

/// `true` or `false`.
pub(super) fn flag(at: At<'_>) -> Option<bool> {
    match at.node.content {
        Content::Bool(b) => Some(b),
        Content::Null
        | Content::Number(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => {
            at.wrong_type("true or false");
            None
        }
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(at: At<'_>, choices: &[(&'static str, T)]) -> Option<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let wanted = format!("one of `{}`", names.join("`, `"));
    let text = at.text(&wanted)?;
    let found = choices
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value);
    if found.is_none() {
        at.report(
            Code::InvalidValue,
            format!("this must be {wanted}{}", hint(text, names.into_iter())),
        );
    }
    found
}

/// `2d`, `90s`, `1h 30m`, or whole seconds; more than nothing, at most ten years.
pub(super) fn duration(at: At<'_>) -> Option<Millis> {
    let ms = match &at.node.content {
        Content::Number(number) => number.as_u64().and_then(|s| s.checked_mul(1_000)),
        Content::Text(text) => span_ms(text),
        Content::Null | Content::Bool(_) | Content::List(_) | Content::Map(_) => {
            at.wrong_type("a duration such as `2d`, `90s` or `1h 30m`");
            return None;
        }
    };
    let found = ms.filter(|ms| (1..=SPAN_MS_MAX).contains(ms)).map(Millis);
    if found.is_none() {
        let message = "this is not a duration between a millisecond and ten years, such as `2d`, `90s` or `1h 30m`";
        at.report(Code::InvalidValue, message);
    }
    found
}

fn span_ms(text: &str) -> Option<u64> {
    u64::try_from(time::parse_span(text)?.as_millis()).ok()
}

/// What `sleep` takes: a duration, or an expression that gives one.
pub(super) fn span_template(at: At<'_>) -> Template {
    let template = template(at);
    if let Template::Literal(_) = &template {
        duration(at);
    }
    template
}

/// What `until` takes: an instant, or an expression that gives one.
pub(super) fn instant_template(at: At<'_>) -> Template {
    let template = template(at);
    if let Template::Literal(value) = &template
        && value
            .as_str()
            .is_none_or(|text| text.parse::<jiff::Timestamp>().is_err())
    {
        at.report(
            Code::InvalidValue,
            "this is not an instant such as `2026-01-31T08:00:00Z`",
        );
    }
    template
}

/// A lone expression.
pub(super) fn expression(at: At<'_>, wanted: &str) -> Option<Expr> {
    let text = at.text(wanted)?;
    match template::parse(text) {
        Ok(Template::Expr(expr)) => Some(expr),
        Ok(Template::Literal(_) | Template::Text(_) | Template::List(_) | Template::Object(_)) => {
            at.report(
                Code::WrongType,
                format!("this must be {wanted}: one `${{ … }}` and nothing around it"),
            );
            None
        }
        Err(error) => {
            at.report(Code::Expression, error.message);
            None
        }
    }
}

/// A condition: an expression, or plainly `true` or `false`.
pub(super) fn condition(at: At<'_>) -> Option<Expr> {
    match at.node.content {
        Content::Bool(b) => Some(Expr(b.to_string())),
        Content::Null
        | Content::Number(_)
        | Content::Text(_)
        | Content::List(_)
        | Content::Map(_) => expression(at, "a condition such as `${ input.x > 1 }`"),
    }
}

/// Any value, with expressions in its texts.
pub(super) fn template(at: At<'_>) -> Template {
    template_of(at.node, at.path, at.problems)
}

fn template_of(node: &Node, path: &str, problems: &Problems) -> Template {
    match &node.content {
        Content::Null | Content::Bool(_) | Content::Number(_) => Template::Literal(node.to_value()),
        Content::Text(text) => template::parse(text).unwrap_or_else(|error| {
            At {
                node,
                path,
                problems,
            }
            .report(Code::Expression, error.message);
            Template::Literal(Value::Null)
        }),
        Content::List(items) => {
            let items = items.iter().enumerate();
            flatten_list(
                items
                    .map(|(i, item)| template_of(item, &format!("{path}[{i}]"), problems))
                    .collect(),
            )
        }
        Content::Map(entries) => flatten_map(
            entries
                .iter()
                .map(|(key, value)| {
                    (
                        key.name.clone(),
                        template_of(value, &join(path, &key.name), problems),
                    )
                })
                .collect(),
        ),
    }
}

/// A list without expressions is a literal: one meaning, one model, one hash.
fn flatten_list(items: Vec<Template>) -> Template {
    let literals: Option<Vec<Value>> = items.iter().map(literal).collect();
    literals.map_or(Template::List(items), |values| {
        Template::Literal(Value::Array(values))
    })
}

fn flatten_map(entries: BTreeMap<String, Template>) -> Template {
    let literals: Option<serde_json::Map<String, Value>> = entries
        .iter()
        .map(|(name, entry)| Some((name.clone(), literal(entry)?)))
        .collect();
    literals.map_or(Template::Object(entries), |values| {
        Template::Literal(Value::Object(values))
    })
}

fn literal(template: &Template) -> Option<Value> {
    match template {
        Template::Literal(value) => Some(value.clone()),
        Template::Expr(_) | Template::Text(_) | Template::List(_) | Template::Object(_) => None,
    }
}
