//! Looking at what came of it.

use std::sync::Arc;

use fulcrum_core::contract::Contract;
use fulcrum_core::event::{Event, StepKey};
use fulcrum_core::ids::{NamespaceId, RunId, TaskId, WorkerId};
use fulcrum_core::payload::{NewPayload, Payload, PayloadRef};
use serde_json::Value;
use uuid::Uuid;

use super::World;

impl World {
    /// As somebody else would write it: with white space.
    pub(crate) fn payload(&mut self, run: RunId, value: &Value) -> NewPayload {
        self.commands += 1;
        let mut entropy = [1; 32];
        entropy[..8].copy_from_slice(&self.commands.to_be_bytes());
        let payload = Payload {
            encoding: "json".to_owned(),
            data: format!("{value:#}").into_bytes(),
        };
        payload.named(run, &entropy, 0)
    }

    pub(crate) fn value(&self, reference: Option<PayloadRef>) -> Value {
        reference.map_or(Value::Null, |reference| {
            self.payloads[&reference.id].payload.to_value().unwrap()
        })
    }

    pub(crate) fn output(&self, run: RunId, path: &str) -> Value {
        let state = self.runs[&run]
            .step(&StepKey::first(path))
            .unwrap_or_else(|| panic!("{path} never began"));
        self.value(state.output)
    }

    pub(crate) fn task_input(&self, run: RunId, path: &str) -> Value {
        let id = TaskId::of_step(run, &StepKey::first(path).to_string());
        self.value(Some(self.tasks[&id].new.input))
    }

    /// The timeline in short: kinds and steps.
    pub(crate) fn story(&self, run: RunId) -> Vec<String> {
        self.timelines[&run]
            .iter()
            .map(|envelope| brief(&envelope.event))
            .collect()
    }
}

fn brief(event: &Event) -> String {
    let text = format!("{event:?}");
    let step = text
        .split_once("step: ")
        .map(|(_, rest)| rest.split(['~', ',']).next().unwrap_or_default());
    match step {
        Some(step) => format!("{} {step}", event.name()),
        None => event.name().to_owned(),
    }
}

pub(crate) fn namespace() -> NamespaceId {
    NamespaceId(Uuid::from_u128(7))
}

pub(crate) fn worker() -> WorkerId {
    WorkerId(Uuid::from_u128(9))
}

/// A contract whose calls may be repeated, or not.
pub(crate) fn contract(
    name: &str,
    idempotency: fulcrum_core::contract::Idempotency,
) -> Arc<Contract> {
    Arc::new(Contract {
        name: name.to_owned(),
        version: "1".to_owned(),
        description: String::new(),
        input_schema: Value::Bool(true),
        output_schema: Value::Bool(true),
        effect: fulcrum_core::contract::EffectClass::Outward,
        idempotency,
        start_to_close: None,
        compiled: fulcrum_core::contract::Compiled::default(),
    })
}
