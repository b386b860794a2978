//! JSON Schemas of inputs and outputs, compiled at start, without any fetching.

use jsonschema::Validator;
use serde_json::Value;

/// Errors of one value shown in a failure.
const SHOWN_ERRORS_MAX: usize = 5;

/// A compiled schema.
pub struct Schema {
    document: Value,
    validator: Validator,
}

/// A schema that is not one, or that points outside itself.
#[derive(Debug, thiserror::Error)]
#[error("not a usable JSON Schema: {0}")]
pub struct SchemaError(String);

impl Schema {
    /// Compiles `document`. A `$ref` to another document is an error: schemas are never fetched.
    ///
    /// # Errors
    /// When it is not a valid schema.
    pub fn compile(document: &Value) -> Result<Self, SchemaError> {
        let validator =
            jsonschema::validator_for(document).map_err(|error| SchemaError(error.to_string()))?;
        Ok(Self {
            document: document.clone(),
            validator,
        })
    }

    /// The schema that allows everything.
    ///
    /// # Panics
    /// Never: `true` is a schema.
    pub fn anything() -> Self {
        Self::compile(&Value::Bool(true)).expect("`true` is a schema")
    }

    /// The document it was compiled from.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What is wrong with `value`: places and reasons without the values themselves.
    ///
    /// # Errors
    /// A text like `/email: value is not a "string"; /plan: …`.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        let mut errors = self.validator.iter_errors(value).map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() {
                "/".to_owned()
            } else {
                place
            };
            format!("{place}: {}", error.masked())
        });
        let shown: Vec<String> = errors.by_ref().take(SHOWN_ERRORS_MAX).collect();
        match shown.is_empty() {
            true => Ok(()),
            false => Err(shown.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_names_the_place_and_not_the_value() {
        let schema = Schema::compile(&json!({
            "type": "object", "properties": { "email": { "type": "string", "maxLength": 5 } }
        }))
        .expect("valid");
        let error = schema
            .check(&json!({ "email": "private@example.com" }))
            .expect_err("too long");
        assert!(
            error.contains("/email") && !error.contains("private"),
            "{error}"
        );
    }

    #[test]
    fn a_schema_is_never_fetched() {
        for reference in ["http://127.0.0.1:1/schema.json", "file:///etc/hostname"] {
            assert!(
                Schema::compile(&json!({ "$ref": reference })).is_err(),
                "{reference}"
            );
        }
    }
}
