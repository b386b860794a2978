//! The input's schema, and what expressions read of the input.

use serde_json::Value;

use crate::definition::check::Checker;
use crate::definition::diagnostic::{Code, hint};
use crate::definition::json_schema;

impl Checker<'_> {
    pub(super) fn input(&mut self) {
        if let Some(schema) = &self.definition.input
            && let Err(problem) = json_schema::validator(schema)
        {
            let path = if problem.path.is_empty() {
                "input".to_owned()
            } else {
                format!("input.{}", problem.path)
            };
            self.report(Code::Schema, &path, problem.message);
        }
    }

    /// Does the schema know `input.<fields>`? Where it leaves room, anything goes.
    pub(super) fn input_field(&self, fields: &[String]) -> Result<(), (Code, String)> {
        let mut schema = self.definition.input.as_ref();
        let mut path = "input".to_owned();
        for field in fields {
            let Some(Value::Object(here)) = schema else {
                return Ok(());
            };
            if OPEN.iter().any(|keyword| here.contains_key(*keyword)) {
                return Ok(());
            }
            let extra = here.get("additionalProperties");
            let properties = here.get("properties").and_then(Value::as_object);
            schema = properties.and_then(|p| p.get(field));
            let closed =
                extra == Some(&Value::Bool(false)) || (extra.is_none() && properties.is_some());
            if schema.is_none() && closed {
                let known = properties
                    .into_iter()
                    .flat_map(|p| p.keys())
                    .map(String::as_str);
                let message = format!(
                    "the input schema has no `{path}.{field}`{}",
                    hint(field, known)
                );
                return Err((Code::UnknownName, message));
            }
            path = format!("{path}.{field}");
        }
        Ok(())
    }
}

/// Keywords with which the properties written here are not all there are.
const OPEN: &[&str] = &[
    "$ref",
    "$dynamicRef",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "patternProperties",
    "dependentSchemas",
];
