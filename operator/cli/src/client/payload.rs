//! JSON in and out of payloads.

use std::io::Read as _;

use fulcrum_proto::common::v1::Payload;
use fulcrum_sdk::transfer::WHOLE_BYTES_MAX;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::error::CliError;

/// The only encoding understood today.
const JSON: &str = "json";

/// A payload that carries a JSON value.
#[must_use]
pub fn from_json(value: &Value) -> Payload {
    Payload {
        encoding: JSON.to_owned(),
        data: value.to_string().into_bytes().into(),
    }
}

/// The value in a payload. What is not JSON is told, not shown.
#[must_use]
pub fn to_json(payload: &Payload) -> Value {
    if let Ok(Some(handle)) = payload.handle() {
        return Value::String(format!("<{} bytes, not shown here>", handle.size_bytes));
    }
    match payload.encoding.as_str() {
        "" | JSON => serde_json::from_slice(&payload.data).unwrap_or_else(|_| {
            Value::String(format!("<{} bytes that are not JSON>", payload.data.len()))
        }),
        other => Value::String(format!("<{} bytes of {other}>", payload.data.len())),
    }
}

/// Reads a value from an argument: JSON text, `@file`, or `-` for stdin. `option` names the argument in errors.
///
/// # Errors
/// When the file cannot be read or the text is not one JSON value.
pub fn read(option: &str, argument: &str) -> Result<Payload, CliError> {
    let (text, source) = if argument == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|source| CliError::Io {
                what: "cannot read stdin".to_owned(),
                source,
            })?;
        (text, "stdin".to_owned())
    } else if let Some(path) = argument.strip_prefix('@') {
        let text =
            std::fs::read_to_string(path).map_err(|source| CliError::file("read", path, source))?;
        (text, path.to_owned())
    } else {
        (argument.to_owned(), option.to_owned())
    };
    if text.len() > WHOLE_BYTES_MAX {
        // As it is: as a tree of values it would take many times its size.
        let _is_json: IgnoredAny = parse(&source, &text)?;
        return Ok(Payload {
            encoding: JSON.to_owned(),
            data: text.into_bytes().into(),
        });
    }
    let value: Value = parse(&source, &text)?;
    Ok(from_json(&value))
}

fn parse<'t, T: Deserialize<'t>>(source: &str, text: &'t str) -> Result<T, CliError> {
    serde_json::from_str(text).map_err(|error| {
        let fix =
            "give one JSON value: '{\"email\": \"ada@example.com\"}', @file.json, or - for stdin";
        CliError::usage(format!("{source} is not JSON: {error}"), fix)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_survives_the_way_through_a_payload() {
        let value = json!({ "name": "Ada", "n": [1, 2.5, null] });
        assert_eq!(to_json(&from_json(&value)), value);
    }

    #[test]
    fn what_is_not_json_is_told_by_its_size() {
        let payload = Payload {
            encoding: "cbor".to_owned(),
            data: vec![1, 2, 3].into(),
        };
        assert_eq!(to_json(&payload), json!("<3 bytes of cbor>"));
    }

    #[test]
    fn a_large_argument_goes_as_it_is_if_it_is_json() {
        let text = format!("[ \"{}\" ]", "x".repeat(WHOLE_BYTES_MAX));
        let payload = read("--input", &text).expect("reads");
        assert_eq!(payload.data, text.as_bytes());
        assert!(read("--input", &text[1..]).is_err());
    }

    #[test]
    fn an_argument_that_is_not_json_is_a_usage_error_with_its_place() {
        let error = read("--input", "{oops").expect_err("refused");
        assert_eq!(error.exit(), crate::exit::Exit::Usage);
        assert!(
            error
                .to_string()
                .contains("--input is not JSON: key must be a string at line 1 column 2"),
            "{error}"
        );
    }

    #[test]
    fn an_argument_can_name_a_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("input.json");
        std::fs::write(&path, "{\"a\": 1}").expect("written");
        let payload = read("--input", &format!("@{}", path.display())).expect("reads");
        assert_eq!(to_json(&payload), json!({ "a": 1 }));
        assert_eq!(
            read("--input", "@/no/such").expect_err("refused").exit(),
            crate::exit::Exit::NotFound
        );
    }
}
