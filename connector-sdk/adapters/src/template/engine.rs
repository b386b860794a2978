//! The minijinja environment every template runs in, and the one error type.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior};

/// Longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 256 * 1024;
/// Instructions (and bytes made) one rendering may cost.
pub const TEMPLATE_FUEL: u64 = 5_000_000;
const RECURSION_MAX: usize = 64;

/// A template that does not parse, or does not render with the input it was given.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template is wrong whatever the input.
    #[error("template {shown}: {reason}")]
    Invalid {
        /// The template, shortened.
        shown: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A name that nothing provides.
    #[error("template {shown} names `{name}`; known here: {known}")]
    UnknownName {
        /// The template, shortened.
        shown: String,
        /// The name.
        name: String,
        /// What could have been named.
        known: String,
    },
    /// This input does not fit the template.
    #[error("template {shown}: {reason}")]
    Unrenderable {
        /// The template, shortened.
        shown: String,
        /// Why not.
        reason: String,
    },
}

/// An environment without loaders, with fuel, strict undefined, and JSON instead of debug output.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.set_recursion_limit(RECURSION_MAX);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment
}

/// How a value is printed inside text: null is refused rather than written as a word, lists and maps become JSON.
pub(super) fn printed(value: &minijinja::Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "the value is null; give it a default, as in `{{ value | default('-', true) }}`",
        )),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => serde_json::to_string(value)
            .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string())),
        _ => Ok(value.to_string()),
    }
}

pub(super) fn shown(source: &str) -> String {
    const SHOWN_CHARS: usize = 60;
    let line: String = source
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(SHOWN_CHARS)
        .collect();
    if line.len() < source.len() {
        format!("`{line}…`")
    } else {
        format!("`{line}`")
    }
}

pub(super) fn reason(error: &Error) -> String {
    match (error.detail(), error.line()) {
        (Some(detail), Some(line)) if line > 1 => {
            format!("{}: {detail} (line {line})", error.kind())
        }
        (Some(detail), _) => format!("{}: {detail}", error.kind()),
        (None, _) => error.kind().to_string(),
    }
}
