//! Values on their way into a statement.

use serde_json::Value;

/// A value that can be bound.
///
/// JSON says less than SQL: text is bound as text, so a column of another type needs a cast in the statement, as in
/// `:at::timestamptz`. Lists and maps are bound as JSON.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Bound {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Json(Value),
}

/// A number that no column can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{name}`: {number} does not fit into 64 bits")]
pub(crate) struct NumberTooLarge {
    name: String,
    number: String,
}

impl Bound {
    /// The value of parameter `name`.
    pub(crate) fn of(name: &str, value: Value) -> Result<Self, NumberTooLarge> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Bool(flag),
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
            Value::Number(number) => match (number.as_i64(), number.is_u64(), number.as_f64()) {
                (Some(integer), ..) => Self::Integer(integer),
                (None, false, Some(float)) => Self::Float(float),
                (None, ..) => {
                    return Err(NumberTooLarge {
                        name: name.to_owned(),
                        number: number.to_string(),
                    });
                }
            },
        })
    }
}
