//! Content hashes. A definition's name is the SHA-256 of its canonical model and the language version, so that the
//! same workflow written in YAML or JSON, with other comments or key order, is the same version.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::contract::Contract;
use crate::definition::model::{Definition, LANGUAGE_VERSION};
use crate::ids::{ContractHash, DefinitionHash};

/// Canonical JSON: object keys sorted by their bytes, no white space, numbers and texts as `serde_json` writes them.
/// Stored definitions are these bytes.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// Does not rely on the order of `serde_json::Map`, which a feature flag anywhere in the build can change.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.push_str(&value.to_string())
        }
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            out.push('{');
            for (i, key) in keys.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write(&map[key], out);
            }
            out.push('}');
        }
    }
}

/// The version that a definition is.
#[must_use]
pub fn definition_hash(definition: &Definition) -> DefinitionHash {
    DefinitionHash(sha256("fulcrum.definition", definition))
}

/// The version that a contract is.
#[must_use]
pub fn contract_hash(contract: &Contract) -> ContractHash {
    ContractHash(sha256("fulcrum.contract", contract))
}

fn sha256<T: Serialize>(domain: &str, of: &T) -> [u8; 32] {
    let value =
        serde_json::to_value(of).expect("the model has text keys only and no fallible serializer");
    let mut hash = Sha256::new();
    hash.update(domain.as_bytes());
    hash.update([0]);
    hash.update(LANGUAGE_VERSION.to_be_bytes());
    hash.update(canonical_json(&value).as_bytes());
    hash.finalize().into()
}
