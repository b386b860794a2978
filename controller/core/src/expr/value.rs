//! Values during evaluation. They borrow the JSON they come from; what is made anew is shared, never copied deeply.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use serde_json::Value;

use crate::expr::budget::{Budget, Fault};

#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// Only above `i64::MAX`, or when asked for with `1u` or `uint()`.
    Uint(u64),
    /// Always finite.
    Double(f64),
    Text(Text<'a>),
    Time(jiff::Timestamp),
    Span(jiff::SignedDuration),
    List(List<'a>),
    Map(Map<'a>),
}

#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    Json(&'a [Value]),
    Made(Rc<[Val<'a>]>),
}

#[derive(Debug, Clone)]
pub(super) enum Map<'a> {
    Json(&'a serde_json::Map<String, Value>),
    Made(Rc<BTreeMap<Key, Val<'a>>>),
}

/// A map key. Ordered, so that every walk over a map is the same walk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    Text(Rc<str>),
}

impl<'a> Val<'a> {
    pub(super) fn json(value: &'a Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(b) => Val::Bool(*b),
            Value::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(int), _) => Val::Int(int),
                (None, Some(uint)) => Val::Uint(uint),
                (None, None) => Val::Double(n.as_f64().unwrap_or(0.0)),
            },
            Value::String(s) => Val::Text(Text::Borrowed(s)),
            Value::Array(items) => Val::List(List::Json(items)),
            Value::Object(map) => Val::Map(Map::Json(map)),
        }
    }

    /// A text made now; its bytes are charged.
    pub(super) fn text(text: &str, budget: &Budget) -> Result<Self, Fault> {
        budget.bytes(text.len())?;
        Ok(Val::Text(Text::Made(Rc::from(text))))
    }

    /// A list made now; its slots are charged.
    pub(super) fn list(items: Vec<Val<'a>>, budget: &Budget) -> Result<Self, Fault> {
        budget.bytes(items.len() * size_of::<Val<'_>>())?;
        Ok(Val::List(List::Made(items.into())))
    }

    /// The type's name in messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Val::Null => "null",
            Val::Bool(_) => "a bool",
            Val::Int(_) | Val::Uint(_) => "a whole number",
            Val::Double(_) => "a number",
            Val::Text(_) => "a text",
            Val::Time(_) => "a timestamp",
            Val::Span(_) => "a duration",
            Val::List(_) => "a list",
            Val::Map(_) => "a map",
        }
    }
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Made(text) => text,
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            List::Json(items) => items.len(),
            List::Made(items) => items.len(),
        }
    }

    pub(super) fn get(&self, i: usize) -> Option<Val<'a>> {
        match self {
            List::Json(items) => items.get(i).map(Val::json),
            List::Made(items) => items.get(i).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Val<'a>> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Map::Json(map) => map.len(),
            Map::Made(map) => map.len(),
        }
    }

    pub(super) fn get_text(&self, key: &str) -> Option<Val<'a>> {
        match self {
            Map::Json(map) => map.get(key).map(Val::json),
            Map::Made(map) => map.get(&Key::Text(Rc::from(key))).cloned(),
        }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Val<'a>> {
        match (self, key) {
            (Map::Json(map), Key::Text(text)) => map.get(&**text).map(Val::json),
            (Map::Json(_), Key::Bool(_) | Key::Int(_)) => None,
            (Map::Made(map), key) => map.get(key).cloned(),
        }
    }

    /// The keys in order, whatever order the JSON map keeps.
    pub(super) fn keys(&self, budget: &Budget) -> Result<Vec<Key>, Fault> {
        budget.steps(self.len() as u64)?;
        match self {
            Map::Json(map) => {
                let mut keys: Vec<&String> = map.keys().collect();
                keys.sort_unstable();
                budget.bytes(keys.iter().map(|k| k.len() + size_of::<Key>()).sum())?;
                Ok(keys
                    .into_iter()
                    .map(|k| Key::Text(Rc::from(k.as_str())))
                    .collect())
            }
            Map::Made(map) => Ok(map.keys().cloned().collect()),
        }
    }
}

impl Key {
    pub(super) fn of(value: &Val<'_>) -> Result<Self, Fault> {
        match value {
            Val::Bool(b) => Ok(Key::Bool(*b)),
            Val::Int(i) => Ok(Key::Int(*i)),
            Val::Uint(u) => i64::try_from(*u)
                .map(Key::Int)
                .map_err(|_| Fault::data(format!("{u} is too large for a map key"))),
            // `m[1.0]` finds what `m[1]` finds.
            Val::Double(d) if d.fract() == 0.0 && d.abs() < 9e15 => Ok(Key::Int(*d as i64)),
            Val::Text(Text::Made(text)) => Ok(Key::Text(Rc::clone(text))),
            Val::Text(Text::Borrowed(text)) => Ok(Key::Text(Rc::from(*text))),
            Val::Null
            | Val::Double(_)
            | Val::Time(_)
            | Val::Span(_)
            | Val::List(_)
            | Val::Map(_) => Err(Fault::data(format!("{} cannot be a map key", value.kind()))),
        }
    }

    pub(super) fn value<'a>(&self) -> Val<'a> {
        match self {
            Key::Bool(b) => Val::Bool(*b),
            Key::Int(i) => Val::Int(*i),
            Key::Text(text) => Val::Text(Text::Made(Rc::clone(text))),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Bool(b) => write!(f, "{b}"),
            Key::Int(i) => write!(f, "{i}"),
            Key::Text(text) => f.write_str(text),
        }
    }
}
