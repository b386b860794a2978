//! Contracts: what a capability promises about its input, its output and its effect on the world.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

impl Contract {
    /// May a call be repeated when its outcome is not known?
    #[must_use]
    pub fn repeatable(&self) -> bool {
        match (self.effect, self.idempotency) {
            (EffectClass::Read, _) | (_, Idempotency::Natural | Idempotency::Keyed) => true,
            (EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward, Idempotency::None) => false,
        }
    }

    /// SHA-256 over the canonical JSON of the contract.
    #[must_use]
    pub fn hash(&self) -> ContractHash {
        crate::definition::hash::contract_hash(self)
    }
}
