//! The source of a definition as a tree with places, before anything is known about its meaning.
//!
//! YAML is read through `saphyr-parser`'s events, of which JSON is the flow subset. Anchors, aliases, tags and merge
//! keys are not part of the language: with them a few bytes can stand for gigabytes, and a reader for something else
//! than what stands there.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde_json::{Number, Value};

use crate::definition::diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic};
use crate::definition::place::Place;
use crate::limits::Limits;

/// Nesting of the document; far above what blocks of steps and schemas need.
const NODE_DEPTH_MAX: usize = 64;

/// A value of the document and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the source; no key twice.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) at: Place,
}

impl Node {
    /// The type's name in messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Bool(_) => "a bool",
            Content::Number(_) => "a number",
            Content::Text(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "a mapping",
        }
    }

    /// As plain JSON, `${ }` not interpreted.
    pub(crate) fn to_value(&self) -> Value {
        match &self.content {
            Content::Null => Value::Null,
            Content::Bool(b) => Value::Bool(*b),
            Content::Number(n) => Value::Number(n.clone()),
            Content::Text(text) => Value::String(text.clone()),
            Content::List(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(k, v)| (k.name.clone(), v.to_value()))
                    .collect(),
            ),
        }
    }

    /// Notes the place of every value under its path.
    pub(crate) fn note_places(&self, path: &str, places: &mut BTreeMap<String, Place>) {
        places.insert(path.to_owned(), self.at);
        match &self.content {
            Content::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    item.note_places(&format!("{path}[{i}]"), places);
                }
            }
            Content::Map(entries) => {
                for (key, value) in entries {
                    value.note_places(&join(path, &key.name), places);
                }
            }
            Content::Null | Content::Bool(_) | Content::Number(_) | Content::Text(_) => {}
        }
    }
}

/// `path.key`, or the key alone at the top.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Reads one document. Problems of the document's form come back beside what could be read.
pub(crate) fn read(text: &str, limits: &Limits) -> (Option<Node>, Vec<Diagnostic>) {
    let bytes_max = limits.definition_bytes_max as usize;
    if text.len() > bytes_max {
        let message = format!(
            "the definition is {} bytes long; definition_bytes_max is {bytes_max}",
            text.len()
        );
        return (
            None,
            vec![Place::START.diagnostic(Code::TooLarge, "", message)],
        );
    }
    let mut reader = Reader {
        open: Vec::new(),
        root: None,
        documents: 0,
        diagnostics: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let outcome = match event {
            Ok((event, span)) => reader.event(event, span),
            Err(error) => {
                let quotes = quotes_hint(text, error.marker());
                let message = format!("this is not YAML: {}{quotes}", error.info());
                Err(place(error.marker()).diagnostic(Code::Syntax, "", message))
            }
        };
        if let Err(fatal) = outcome {
            reader.diagnostics.push(fatal);
            return (None, reader.diagnostics);
        }
    }
    if reader.root.is_none() && reader.diagnostics.is_empty() {
        reader.diagnostics.push(Place::START.diagnostic(
            Code::Syntax,
            "",
            "the definition is empty".to_owned(),
        ));
    }
    (reader.root, reader.diagnostics)
}

/// The commonest slip by far.
fn quotes_hint(text: &str, marker: &Marker) -> &'static str {
    let line = text
        .lines()
        .nth(marker.line().saturating_sub(1))
        .unwrap_or_default();
    if line.contains("${") {
        "; in YAML, a text with `${ … }` and `: ` or braces around it stands in quotes"
    } else {
        ""
    }
}

fn place(marker: &Marker) -> Place {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: narrow(marker.line().max(1)),
        column: narrow(marker.col() + 1),
    }
}

/// A list or mapping that is not closed yet.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<(Key, Node)>, Slot, BTreeSet<String>),
}

/// What a mapping waits for.
enum Slot {
    Key,
    Value(Key),
    /// The value belongs to a key that was refused.
    Dropped,
}

struct Reader {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    diagnostics: Vec<Diagnostic>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Diagnostic> {
        let at = place(&span.start);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(at.diagnostic(
                        Code::Unsupported,
                        "",
                        "one file holds one workflow".to_owned(),
                    ));
                }
            }
            Event::Alias(_) => {
                self.refuse(
                    at,
                    "aliases (`*name`) are not part of the language; write the value out",
                );
                self.close(Node {
                    at,
                    content: Content::Null,
                });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.form(at, anchor, tag.is_some());
                self.scalar(at, &text, style);
            }
            Event::SequenceStart(anchor, tag) => {
                self.form(at, anchor, tag.is_some());
                self.push(at, Open::List(at, Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.form(at, anchor, tag.is_some());
                self.push(at, Open::Map(at, Vec::new(), Slot::Key, BTreeSet::new()))?;
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(at, items)) => self.close(Node {
                    at,
                    content: Content::List(items),
                }),
                Some(Open::Map(at, entries, ..)) => self.close(Node {
                    at,
                    content: Content::Map(entries),
                }),
                None => {}
            },
        }
        Ok(())
    }

    fn push(&mut self, at: Place, open: Open) -> Result<(), Diagnostic> {
        if self.open.len() >= NODE_DEPTH_MAX {
            let message = format!("the document nests deeper than {NODE_DEPTH_MAX}");
            return Err(at.diagnostic(Code::TooLarge, "", message));
        }
        self.open.push(open);
        Ok(())
    }

    fn form(&mut self, at: Place, anchor: usize, tagged: bool) {
        if anchor > 0 {
            self.refuse(at, "anchors (`&name`) are not part of the language");
        }
        if tagged {
            self.refuse(at, "tags (`!name`) are not part of the language");
        }
    }

    fn refuse(&mut self, at: Place, message: &str) {
        self.report(at, Code::Unsupported, message.to_owned());
    }

    fn report(&mut self, at: Place, code: Code, message: String) {
        if self.diagnostics.len() < DIAGNOSTICS_MAX {
            self.diagnostics.push(at.diagnostic(code, "", message));
        }
    }

    fn scalar(&mut self, at: Place, text: &str, style: ScalarStyle) {
        if let Some(Open::Map(_, _, slot @ Slot::Key, seen)) = self.open.last_mut() {
            if text == "<<" && style == ScalarStyle::Plain {
                *slot = Slot::Dropped;
                self.refuse(
                    at,
                    "merge keys (`<<`) are not part of the language; write the values out",
                );
                return;
            }
            let twice = !seen.insert(text.to_owned());
            *slot = if twice {
                Slot::Dropped
            } else {
                Slot::Value(Key {
                    name: text.to_owned(),
                    at,
                })
            };
            if twice {
                let message = format!("the key `{text}` is given twice");
                self.report(at, Code::DuplicateKey, message);
            }
            return;
        }
        let content = match style {
            ScalarStyle::Plain => self.plain(at, text),
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => Content::Text(text.to_owned()),
        };
        self.close(Node { at, content });
    }

    /// YAML 1.2 core schema.
    fn plain(&mut self, at: Place, text: &str) -> Content {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Content::Null,
            "true" | "True" | "TRUE" => Content::Bool(true),
            "false" | "False" | "FALSE" => Content::Bool(false),
            _ => match number(text) {
                Some(Some(number)) => Content::Number(number),
                Some(None) => {
                    let message = format!(
                        "`{text}` has no place in JSON; write a finite number or a text in quotes"
                    );
                    self.report(at, Code::InvalidValue, message);
                    Content::Null
                }
                None => Content::Text(text.to_owned()),
            },
        }
    }

    /// Puts a finished value where it belongs.
    fn close(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, entries, slot, _)) => match std::mem::replace(slot, Slot::Key) {
                Slot::Value(key) => entries.push((key, node)),
                Slot::Dropped => {}
                Slot::Key => {
                    *slot = Slot::Dropped;
                    let message = "a key must be a word or a text".to_owned();
                    self.report(node.at, Code::WrongType, message);
                }
            },
        }
    }
}

/// A number, or one that is not finite, or no number.
fn number(text: &str) -> Option<Option<Number>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if let Some(radix) = match digits.get(..2) {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        _ => None,
    } {
        return u64::from_str_radix(&text[2..], radix)
            .ok()
            .map(|n| Some(Number::from(n)));
    }
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(None);
    }
    let starts = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let allowed = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    if !starts || !allowed || !digits.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain = text.strip_prefix('+').unwrap_or(text);
    if let Ok(int) = plain.parse::<i64>() {
        return Some(Some(Number::from(int)));
    }
    if let Ok(uint) = plain.parse::<u64>() {
        return Some(Some(Number::from(uint)));
    }
    plain.parse::<f64>().ok().map(Number::from_f64)
}
