//! What people start, and what may come of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fulcrum_controller::engine::catalog::{Contracts, Source};
use fulcrum_core::definition::model::Definition;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::definition::{CheckContext, Unregistered, compile};
use fulcrum_core::failure::code;
use fulcrum_core::ids::{DefinitionHash, NamespaceId};
use fulcrum_core::limits::Limits;
use fulcrum_core::store::StoreError;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::edge::bench::contracts;
use crate::stage::dice::Dice;

/// The one namespace.
pub const NAMESPACE: NamespaceId = NamespaceId(Uuid::from_u128(1));

/// The workflows of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workflow {
    /// Two calls in a row, the second with an effect.
    Pay,
    /// Members side by side, one after two others, and a nap.
    Spread,
    /// The same for every item.
    Each,
    /// A question.
    Ask,
    /// Two waits for signals.
    Hear,
    /// A child run, a failure, a catch and a clean-up.
    Guard,
    /// A task with a journal that parks.
    Think,
    /// A call that cannot be repeated.
    Once,
}

impl Workflow {
    /// All of them.
    pub const ALL: [Workflow; 8] = [
        Workflow::Pay,
        Workflow::Spread,
        Workflow::Each,
        Workflow::Ask,
        Workflow::Hear,
        Workflow::Guard,
        Workflow::Think,
        Workflow::Once,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Workflow::Pay => "pay",
            Workflow::Spread => "spread",
            Workflow::Each => "each",
            Workflow::Ask => "ask",
            Workflow::Hear => "hear",
            Workflow::Guard => "guard",
            Workflow::Think => "think",
            Workflow::Once => "once",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Workflow::Pay => include_str!("../workflows/pay.yaml"),
            Workflow::Spread => include_str!("../workflows/spread.yaml"),
            Workflow::Each => include_str!("../workflows/each.yaml"),
            Workflow::Ask => include_str!("../workflows/ask.yaml"),
            Workflow::Hear => include_str!("../workflows/hear.yaml"),
            Workflow::Guard => include_str!("../workflows/guard.yaml"),
            Workflow::Think => include_str!("../workflows/think.yaml"),
            Workflow::Once => include_str!("../workflows/once.yaml"),
        }
    }

    /// An input for a run of it.
    #[must_use]
    pub fn input(self, dice: &Dice) -> Value {
        let n = dice.below(100);
        let items: Vec<u64> = (0..3 + dice.below(6)).collect();
        match self {
            Workflow::Each => json!({ "n": n, "items": items }),
            Workflow::Pay
            | Workflow::Spread
            | Workflow::Ask
            | Workflow::Hear
            | Workflow::Guard
            | Workflow::Think
            | Workflow::Once => json!({ "n": n }),
        }
    }

    /// Is this what a run with this input may give? The receipt of a charge is looked at elsewhere.
    #[must_use]
    pub fn may_give(self, input: &Value, output: &Value) -> bool {
        let n = input["n"].as_i64().unwrap_or_default();
        let given = output["n"].as_i64();
        match self {
            Workflow::Pay => given == Some(n + 1) && output["receipt"].is_u64(),
            Workflow::Spread => given == Some(n + 3),
            Workflow::Each => {
                let items = input["items"].as_array().map_or(&[][..], Vec::as_slice);
                let expected: Vec<Value> = items
                    .iter()
                    .map(|item| json!(item.as_i64().unwrap_or_default() * 10 + n))
                    .collect();
                *output == json!(expected)
            }
            Workflow::Ask => given == Some(n),
            Workflow::Hear => output.get("first").is_some() && output.get("second").is_some(),
            Workflow::Guard => output["code"] == json!("DOOMED"),
            Workflow::Think => given == Some(n) && output["noted"].as_i64() == Some(n),
            Workflow::Once => given == Some(n) || given == Some(-1),
        }
    }

    /// May a run of it fail with this code?
    #[must_use]
    pub fn may_fail_with(self, failure: &str) -> bool {
        match self {
            Workflow::Ask => failure == code::REJECTED,
            Workflow::Pay
            | Workflow::Spread
            | Workflow::Each
            | Workflow::Hear
            | Workflow::Guard
            | Workflow::Think
            | Workflow::Once => false,
        }
    }
}

/// The catalog of a world. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    definitions: Arc<BTreeMap<DefinitionHash, Definition>>,
    newest: Arc<BTreeMap<String, DefinitionHash>>,
    contracts: Contracts,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// All workflows and contracts.
    #[must_use]
    pub fn new() -> Self {
        let limits = Limits::default();
        let names = Workflow::ALL.map(|workflow| workflow.name().to_owned());
        let mut definitions = BTreeMap::new();
        let mut newest = BTreeMap::new();
        for workflow in Workflow::ALL {
            let context = CheckContext {
                capabilities: None,
                workflows: Some(&names.clone().into()),
                limits: &limits,
                unregistered: Unregistered::Allow,
            };
            let (definition, hash) = compile(workflow.source(), &context)
                .expect("the workflows of the simulation are valid");
            newest.insert(definition.workflow.clone(), hash);
            definitions.insert(hash, definition);
        }
        Self {
            definitions: Arc::new(definitions),
            newest: Arc::new(newest),
            contracts: Arc::new(contracts()),
        }
    }
}

impl Source for Table {
    async fn plan(&self, hash: DefinitionHash) -> Result<Option<Result<Plan, String>>, StoreError> {
        let plan = |definition: Definition| {
            Plan::new(definition, hash, &Limits::default()).map_err(|e| e.to_string())
        };
        Ok(self.definitions.get(&hash).cloned().map(plan))
    }

    async fn newest(
        &self,
        _: NamespaceId,
        workflow: &str,
    ) -> Result<Option<DefinitionHash>, StoreError> {
        Ok(self.newest.get(workflow).copied())
    }

    async fn contracts(&self, _: NamespaceId) -> Result<Contracts, StoreError> {
        Ok(Arc::clone(&self.contracts))
    }
}
