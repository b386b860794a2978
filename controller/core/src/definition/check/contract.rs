//! Calls against the contracts that are known, runs against the workflows that are.

use serde_json::Value;

use crate::definition::check::{Checker, Unregistered};
use crate::definition::diagnostic::{Code, hint};
use crate::definition::json_schema;
use crate::definition::model::{Step, StepKind, Template};

/// How much of a schema's complaint is shown; a complaint may quote the value.
const COMPLAINT_CHARS_MAX: usize = 300;

impl Checker<'_> {
    pub(super) fn registered(&mut self, step: &Step, path: &str) {
        match &step.kind {
            StepKind::Call { capability, with } => self.call(capability, with, path),
            StepKind::Run { workflow, .. } => self.run(workflow, path),
            StepKind::Review(_)
            | StepKind::Sleep { .. }
            | StepKind::Until { .. }
            | StepKind::Wait { .. }
            | StepKind::Parallel { .. }
            | StepKind::Foreach(_)
            | StepKind::Switch { .. }
            | StepKind::Try { .. }
            | StepKind::Checkpoint { .. }
            | StepKind::Set { .. }
            | StepKind::Return { .. }
            | StepKind::Fail { .. } => {}
        }
    }

    fn call(&mut self, capability: &str, with: &Template, path: &str) {
        let Some(known) = self.context.capabilities else {
            return;
        };
        match (known.get(capability), self.context.unregistered) {
            (Some(schema), _) => self.input_of(capability, schema, with, &format!("{path}.with")),
            (None, Unregistered::Allow) => {}
            (None, Unregistered::Refuse) => {
                let hint = hint(capability, known.keys().map(String::as_str));
                let message = format!(
                    "no worker has registered `{capability}`{hint}; start one, or allow unregistered capabilities"
                );
                self.report(Code::UnknownCapability, &format!("{path}.call"), message);
            }
        }
    }

    fn run(&mut self, workflow: &str, path: &str) {
        let Some(known) = self.context.workflows else {
            return;
        };
        let itself = workflow == self.definition.workflow;
        if itself || known.contains(workflow) || self.context.unregistered == Unregistered::Allow {
            return;
        }
        let hint = hint(workflow, known.iter().map(String::as_str));
        let message = format!("there is no workflow `{workflow}`{hint}; apply it first");
        self.report(Code::UnknownWorkflow, &format!("{path}.run"), message);
    }

    /// What can be said about an input before its expressions have values.
    fn input_of(&mut self, capability: &str, schema: &Value, with: &Template, path: &str) {
        match with {
            Template::Literal(value) => self.fits(capability, schema, value, path),
            Template::Object(entries) => {
                for name in schema
                    .get("required")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                {
                    if let Some(name) = name.as_str()
                        && !entries.contains_key(name)
                    {
                        let message = format!("`{capability}` requires `{name}`");
                        self.report(Code::ContractMismatch, path, message);
                    }
                }
                let properties = schema.get("properties").and_then(Value::as_object);
                let closed = schema.get("additionalProperties") == Some(&Value::Bool(false))
                    && schema.get("patternProperties").is_none();
                for (name, entry) in entries {
                    let path = format!("{path}.{name}");
                    match (properties.and_then(|p| p.get(name)), entry) {
                        (None, _) if closed => {
                            let known = properties
                                .into_iter()
                                .flat_map(|p| p.keys())
                                .map(String::as_str);
                            let message =
                                format!("`{capability}` takes no `{name}`{}", hint(name, known));
                            self.report(Code::ContractMismatch, &path, message);
                        }
                        // A property's schema on its own lacks what its references lead to.
                        (Some(property), Template::Literal(value)) if !refers(property) => {
                            self.fits(capability, property, value, &path);
                        }
                        (Some(_) | None, _) => {}
                    }
                }
            }
            Template::Expr(_) => {}
            Template::Text(_) | Template::List(_) => {
                if schema.get("type").and_then(Value::as_str) == Some("object") {
                    let message = format!("`{capability}` takes an object");
                    self.report(Code::ContractMismatch, path, message);
                }
            }
        }
    }

    fn fits(&mut self, capability: &str, schema: &Value, value: &Value, path: &str) {
        // A broken contract is its worker's problem, and was refused when it was registered.
        let Ok(validator) = json_schema::validator(schema) else {
            return;
        };
        let complaints: Vec<(String, String)> = validator
            .iter_errors(value)
            .map(|error| {
                let inner = json_schema::dotted(error.instance_path().as_str());
                let place = match inner.as_str() {
                    "" => path.to_owned(),
                    inner if inner.starts_with('[') => format!("{path}{inner}"),
                    inner => format!("{path}.{inner}"),
                };
                (
                    place,
                    error
                        .to_string()
                        .chars()
                        .take(COMPLAINT_CHARS_MAX)
                        .collect(),
                )
            })
            .collect();
        for (place, complaint) in complaints {
            self.report(
                Code::ContractMismatch,
                &place,
                format!("`{capability}` does not take this: {complaint}"),
            );
        }
    }
}

fn refers(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.contains_key("$ref") || map.contains_key("$dynamicRef") || map.values().any(refers)
        }
        Value::Array(items) => items.iter().any(refers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
