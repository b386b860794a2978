//! What a capability promises about itself.

use std::time::Duration;

use serde_json::Value;

/// What calling a capability does to the world; ordered, each graver than the one before. Retry, approval and
/// undo key off it, so when in doubt, take the graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectClass {
    /// Changes nothing.
    Read,
    /// Changes something that can be put back.
    Reversible,
    /// Changes something for good.
    Irreversible,
    /// Speaks for the owner to outsiders: mail, posts, payments.
    Outward,
}

/// What happens when the same call is made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Twice is once by nature: a read, an upsert, a delete.
    Natural,
    /// Twice is once because the target honours [`effect_key`](crate::Context::effect_key).
    Keyed,
    /// Twice is twice. An unknown outcome is asked about, never retried.
    None,
}

/// A capability's name, schemas and meaning. A contract is immutable once registered: change anything and the
/// [`version`](Self::version) must rise, else the controller refuses the registration with `CONTRACT_CHANGED`.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    /// Dotted lower-case name, at most 128 bytes: `crm.contact.upsert`.
    pub name: String,
    /// Version, from 1.
    pub version: u32,
    /// What it does, for a person, at most 2 KiB.
    pub description: String,
    /// JSON Schema (2020-12) of the input, at most 64 KiB; `true` accepts anything.
    pub input_schema: Value,
    /// JSON Schema (2020-12) of the output, at most 64 KiB. The controller fails a step whose output breaks it.
    pub output_schema: Value,
    /// What calling it does to the world.
    pub effect: EffectClass,
    /// What calling it twice does.
    pub idempotency: Idempotency,
    /// Time a call should need at most, where a workflow says nothing; `None` leaves it to the controller.
    pub timeout: Option<Duration>,
}

impl Contract {
    /// Version 1 of a contract that accepts and gives anything. A read is taken to be naturally idempotent, any
    /// other effect not to be, until [`idempotency`](Self::idempotency) says otherwise.
    pub fn new(name: impl Into<String>, effect: EffectClass) -> Self {
        let idempotency = match effect {
            EffectClass::Read => Idempotency::Natural,
            EffectClass::Reversible | EffectClass::Irreversible | EffectClass::Outward => {
                Idempotency::None
            }
        };
        Self {
            name: name.into(),
            version: 1,
            description: String::new(),
            input_schema: Value::Bool(true),
            output_schema: Value::Bool(true),
            effect,
            idempotency,
            timeout: None,
        }
    }

    /// Says what the capability does.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.description = text.into();
        self
    }

    /// Sets the version.
    #[must_use]
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Says what calling it twice does.
    #[must_use]
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// Sets the JSON Schemas of input and output.
    #[must_use]
    pub fn schemas(mut self, input: Value, output: Value) -> Self {
        self.input_schema = input;
        self.output_schema = output;
        self
    }

    /// Says how long a call should need at most.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}
