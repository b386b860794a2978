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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::parse::parse;
    use crate::definition::parse::tests::SAMPLE;
    use crate::limits::Limits;

    fn hash(text: &str) -> DefinitionHash {
        definition_hash(&parse(text, &Limits::default()).definition.unwrap())
    }

    /// A change here means that every stored workflow gets a new version: raise `LANGUAGE_VERSION` and say why.
    #[test]
    fn the_hash_of_the_sample_never_changes() {
        assert_eq!(
            hash(SAMPLE).to_string(),
            "30243926071a18f7311a83f22c4480d8b5ec33b9977e3b1c75d0a4c30da516f0"
        );
    }

    #[test]
    fn formatting_comments_and_key_order_do_not_matter() {
        let yaml = "# hello\nworkflow: w\nsteps:\n  - id: a # first\n    call: x.y\n    with: { b: 1, a: '${input.x}' }\n";
        let json = r#"{"steps":[{"with":{"a":"${ input.x }","b":1},"call":"x.y","id":"a","priority":0}],"language":1,"workflow":"w"}"#;
        assert_eq!(hash(yaml), hash(json));
        assert_ne!(hash(yaml), hash(&yaml.replace("b: 1", "b: 2")));
        assert_ne!(
            hash(yaml),
            hash(&yaml.replace("workflow: w", "workflow: v"))
        );
    }

    #[test]
    fn fractions_survive_being_stored() {
        for text in [
            "0.30000000000000004",
            "2.2250738585072011e-308",
            "9007199254740993.5",
            "1e23",
        ] {
            let value = json!(text.parse::<f64>().unwrap());
            let read: Value = serde_json::from_str(&canonical_json(&value)).unwrap();
            assert_eq!(read, value, "{text}");
        }
    }

    #[test]
    fn canonical_json_sorts_keys_at_every_depth() {
        let value = json!({"b": [{"z": 1, "a": "\"é\n"}], "a": null, "B": 1.5});
        assert_eq!(
            canonical_json(&value),
            r#"{"B":1.5,"a":null,"b":[{"a":"\"é\n","z":1}]}"#
        );
    }
}
