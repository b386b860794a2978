//! Capability contracts.

use fulcrum_core::contract::{Contract, EffectClass, Idempotency};
use fulcrum_proto::common::v1 as wire;
use serde_json::Value;

use super::time;
use crate::server::Fault;

const NAME_BYTES_MAX: usize = 128;
const DESCRIPTION_BYTES_MAX: usize = 2 * 1024;
const SCHEMA_BYTES_MAX: usize = 64 * 1024;

/// A contract from a worker.
///
/// # Errors
/// When a field is missing, too long or not a JSON Schema.
pub fn to_contract(value: wire::CapabilityContract) -> Result<Contract, Fault> {
    let name = value.name.clone();
    let wrong = |field: &str, problem: String| {
        Err(Fault::field(
            format!("contracts.{field}"),
            format!("`{name}`: {problem}"),
        ))
    };
    let effect = match value.effect() {
        wire::EffectClass::Read => EffectClass::Read,
        wire::EffectClass::Reversible => EffectClass::Reversible,
        wire::EffectClass::Irreversible => EffectClass::Irreversible,
        wire::EffectClass::Outward => EffectClass::Outward,
        wire::EffectClass::Unspecified => {
            return wrong("effect", "a contract must say what a call does".to_owned());
        }
    };
    let idempotency = match value.idempotency() {
        wire::Idempotency::Natural => Idempotency::Natural,
        wire::Idempotency::Keyed => Idempotency::Keyed,
        wire::Idempotency::None | wire::Idempotency::Unspecified => Idempotency::None,
    };
    if name.len() > NAME_BYTES_MAX {
        return wrong("name", format!("must have at most {NAME_BYTES_MAX} bytes"));
    }
    if value.version == 0 {
        return wrong("version", "versions begin with 1".to_owned());
    }
    if value.description.len() > DESCRIPTION_BYTES_MAX {
        return wrong(
            "description",
            format!("must have at most {DESCRIPTION_BYTES_MAX} bytes"),
        );
    }
    let contract = Contract {
        version: value.version.to_string(),
        input_schema: to_schema(&name, "input_schema", &value.input_schema)?,
        output_schema: to_schema(&name, "output_schema", &value.output_schema)?,
        effect,
        idempotency,
        start_to_close: value
            .timeout
            .map(|span| time::to_span("contracts.timeout", span))
            .transpose()?,
        description: value.description,
        name: value.name,
        compiled: Default::default(),
    };
    match contract.check_schemas() {
        Ok(()) => Ok(contract),
        Err(problem) => wrong("input_schema", problem),
    }
}

/// A JSON Schema; no bytes accept anything.
fn to_schema(name: &str, field: &str, bytes: &[u8]) -> Result<Value, Fault> {
    let at = || format!("contracts.{field}");
    if bytes.is_empty() {
        return Ok(Value::Bool(true));
    }
    if bytes.len() > SCHEMA_BYTES_MAX {
        return Err(Fault::field(
            at(),
            format!("`{name}`: must have at most {SCHEMA_BYTES_MAX} bytes"),
        ));
    }
    serde_json::from_slice(bytes)
        .map_err(|problem| Fault::field(at(), format!("`{name}`: {problem}")))
}

/// A contract for the wire.
#[must_use]
pub fn contract(contract: &Contract) -> wire::CapabilityContract {
    let effect = match contract.effect {
        EffectClass::Read => wire::EffectClass::Read,
        EffectClass::Reversible => wire::EffectClass::Reversible,
        EffectClass::Irreversible => wire::EffectClass::Irreversible,
        EffectClass::Outward => wire::EffectClass::Outward,
    };
    let idempotency = match contract.idempotency {
        Idempotency::Natural => wire::Idempotency::Natural,
        Idempotency::Keyed => wire::Idempotency::Keyed,
        Idempotency::None => wire::Idempotency::None,
    };
    wire::CapabilityContract {
        name: contract.name.clone(),
        version: contract.version.parse().unwrap_or(0),
        description: contract.description.clone(),
        input_schema: contract.input_schema.to_string().into(),
        output_schema: contract.output_schema.to_string().into(),
        effect: effect.into(),
        idempotency: idempotency.into(),
        timeout: contract.start_to_close.map(time::span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire_contract() -> wire::CapabilityContract {
        wire::CapabilityContract {
            name: "crm.contact.upsert".to_owned(),
            version: 2,
            description: "Creates or updates a contact.".to_owned(),
            input_schema: r#"{"type":"object"}"#.into(),
            output_schema: "true".into(),
            effect: wire::EffectClass::Reversible.into(),
            idempotency: wire::Idempotency::Natural.into(),
            timeout: Some(prost_types::Duration {
                seconds: 30,
                nanos: 0,
            }),
        }
    }

    #[test]
    fn a_contract_survives_the_wire() {
        assert_eq!(
            contract(&to_contract(wire_contract()).expect("valid")),
            wire_contract()
        );
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let silent = wire::CapabilityContract {
            effect: 0,
            ..wire_contract()
        };
        assert_eq!(
            to_contract(silent).expect_err("refused").fields[0].0,
            "contracts.effect"
        );
        let broken = wire::CapabilityContract {
            output_schema: "{".into(),
            ..wire_contract()
        };
        assert_eq!(
            to_contract(broken).expect_err("refused").fields[0].0,
            "contracts.output_schema"
        );
        let wrong = wire::CapabilityContract {
            input_schema: r#"{"type":"objekt"}"#.into(),
            ..wire_contract()
        };
        assert!(to_contract(wrong).is_err());
    }
}
