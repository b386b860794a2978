//! Contracts: what a capability promises about its input, its output and its effect on the world.

use std::sync::OnceLock;

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::plan::validator;
use crate::ids::ContractHash;

/// What an act does to the world. Ordered: everything that matters keys off it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectClass {
    /// Changes nothing.
    Read,
    /// Can be undone.
    Reversible,
    /// Cannot be undone.
    Irreversible,
    /// Speaks for the owner to outsiders.
    Outward,
}

/// What a repetition of a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Idempotency {
    /// Repeating it does no harm by its nature.
    Natural,
    /// Repeating it with the same effect key does no harm.
    Keyed,
    /// Repeating it acts twice.
    None,
}

/// A registered contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// For example `crm.contact.upsert`.
    pub name: String,
    /// The worker author's version text.
    pub version: String,
    /// For people and models.
    pub description: String,
    /// JSON Schema.
    pub input_schema: Value,
    /// JSON Schema.
    pub output_schema: Value,
    /// Effect class.
    pub effect: EffectClass,
    /// Idempotency.
    pub idempotency: Idempotency,
    /// Default limit of one attempt.
    pub start_to_close: Option<crate::time::Millis>,
    /// The schemas, compiled at first use. Write `Compiled::default()`.
    #[serde(skip)]
    pub compiled: Compiled,
}

/// What is derived from a contract once and kept. Clones start anew; it never makes two contracts differ.
#[derive(Debug, Default)]
pub struct Compiled {
    input: OnceLock<Result<Validator, String>>,
    output: OnceLock<Result<Validator, String>>,
    hash: OnceLock<ContractHash>,
}

impl Clone for Compiled {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Compiled {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Contract {
    /// May a call be repeated when its outcome is not known?
    #[must_use]
    pub fn repeatable(&self) -> bool {
        match (self.effect, self.idempotency) {
            (EffectClass::Read, _) | (_, Idempotency::Natural | Idempotency::Keyed) => true,
            (
                EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward,
                Idempotency::None,
            ) => false,
        }
    }

    /// SHA-256 over the canonical JSON of the contract.
    #[must_use]
    pub fn hash(&self) -> ContractHash {
        *self
            .compiled
            .hash
            .get_or_init(|| crate::definition::hash::contract_hash(self))
    }

    /// Does an input fit? Says where it does not, for people.
    pub fn check_input(&self, input: &Value) -> Result<(), String> {
        check(&self.compiled.input, &self.input_schema, input)
    }

    /// Does an output fit? Says where it does not, for people.
    pub fn check_output(&self, output: &Value) -> Result<(), String> {
        check(&self.compiled.output, &self.output_schema, output)
    }

    /// Are both schemas JSON Schemas? To be asked when a contract is registered.
    pub fn check_schemas(&self) -> Result<(), String> {
        validator(&self.input_schema).map_err(|e| format!("input schema: {e}"))?;
        validator(&self.output_schema).map_err(|e| format!("output schema: {e}"))?;
        Ok(())
    }
}

fn check(
    cell: &OnceLock<Result<Validator, String>>,
    schema: &Value,
    value: &Value,
) -> Result<(), String> {
    match cell.get_or_init(|| validator(schema)) {
        Ok(schema) => first_problem(schema, value),
        Err(problem) => Err(format!("the contract's schema is broken: {problem}")),
    }
}

/// Checks a value and names the first place that does not fit. The text never repeats long values.
pub(crate) fn first_problem(schema: &Validator, value: &Value) -> Result<(), String> {
    match schema.iter_errors(value).next() {
        None => Ok(()),
        Some(error) => {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() {
                "the value".to_owned()
            } else {
                format!("`{place}`")
            };
            let problem: String = error.to_string().chars().take(PROBLEM_CHARS_MAX).collect();
            Err(format!("{place}: {problem}"))
        }
    }
}

/// Enough to see what is wrong; a value that is quoted in full may be megabytes long.
const PROBLEM_CHARS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contract(effect: EffectClass, idempotency: Idempotency) -> Contract {
        Contract {
            name: "crm.contact.upsert".to_owned(),
            version: "1".to_owned(),
            description: String::new(),
            input_schema: json!({ "type": "object", "required": ["email"] }),
            output_schema: json!({ "type": 5 }),
            effect,
            idempotency,
            start_to_close: None,
            compiled: Compiled::default(),
        }
    }

    #[test]
    fn reads_and_idempotent_calls_are_repeatable() {
        assert!(contract(EffectClass::Read, Idempotency::None).repeatable());
        assert!(contract(EffectClass::Outward, Idempotency::Keyed).repeatable());
        assert!(!contract(EffectClass::Reversible, Idempotency::None).repeatable());
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_where_and_a_broken_schema_is_told_too() {
        let contract = contract(EffectClass::Read, Idempotency::None);
        assert_eq!(contract.check_input(&json!({ "email": "a@b.c" })), Ok(()));
        let long = json!({ "mail": "x".repeat(10_000) });
        let problem = contract.check_input(&long).unwrap_err();
        assert!(
            problem.contains("email") && problem.len() < 1_000,
            "{problem}"
        );
        assert!(
            contract
                .check_output(&json!(1))
                .unwrap_err()
                .contains("schema is broken")
        );
        assert!(
            contract
                .check_schemas()
                .unwrap_err()
                .starts_with("output schema")
        );
    }

    #[test]
    fn what_was_compiled_makes_no_difference() {
        let one = contract(EffectClass::Read, Idempotency::None);
        let other = one.clone();
        let _ = one.check_input(&json!(1));
        assert_eq!((one.hash(), &one), (other.hash(), &other));
    }
}
