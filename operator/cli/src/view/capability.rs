//! What workers can do.

use fulcrum_proto::admin::v1::Capability;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::run::{pretty, short};
use super::word::Word as _;
use crate::output::printer::{Page, Row};
use crate::output::table::Cell;
use crate::output::time;

/// A registered capability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapabilityView {
    /// Its name.
    pub name: String,
    /// Version of its contract.
    pub version: u32,
    /// What it does.
    pub description: String,
    /// What calling it does to the world.
    pub effect: &'static str,
    /// What calling it twice does.
    pub idempotency: &'static str,
    /// Start-to-close time in milliseconds, where the contract names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// JSON Schema of the input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// Who offers it.
    pub workers: Vec<String>,
    /// Identity of the contract.
    pub contract_hash: String,
    /// When the version was first registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
}

impl From<&Capability> for CapabilityView {
    fn from(capability: &Capability) -> Self {
        let contract = capability.contract.clone().unwrap_or_default();
        let timeout = contract
            .timeout
            .and_then(|timeout| std::time::Duration::try_from(timeout).ok());
        Self {
            effect: contract.effect().word(),
            idempotency: contract.idempotency().word(),
            timeout_ms: timeout.and_then(|timeout| u64::try_from(timeout.as_millis()).ok()),
            input_schema: serde_json::from_slice(&contract.input_schema).unwrap_or(Value::Null),
            output_schema: serde_json::from_slice(&contract.output_schema).unwrap_or(Value::Null),
            name: contract.name,
            version: contract.version,
            description: contract.description,
            workers: capability.workers.clone(),
            contract_hash: capability.contract_hash.clone(),
            registered_at: time::from_proto(capability.registered_at.as_ref()),
        }
    }
}

impl Row for CapabilityView {
    const HEADER: &'static [&'static str] = &[
        "CAPABILITY",
        "VERSION",
        "EFFECT",
        "TWICE",
        "WORKERS",
        "DESCRIPTION",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::from(&self.name),
            self.version.to_string().into(),
            self.effect.into(),
            self.idempotency.into(),
            self.workers.join(" ").into(),
            self.description.lines().next().unwrap_or_default().into(),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}

impl Page for CapabilityView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let timeout = self
            .timeout_ms
            .map(|ms| time::span(std::time::Duration::from_millis(ms)));
        vec![
            ("capability", format!("{} v{}", self.name, self.version)),
            ("contract", short(&self.contract_hash).to_owned()),
            ("does", self.description.clone()),
            ("effect", self.effect.to_owned()),
            ("twice", self.idempotency.to_owned()),
            (
                "timeout",
                timeout.unwrap_or_else(|| "the controller's default".to_owned()),
            ),
            ("workers", self.workers.join(" ")),
            ("input", pretty(&self.input_schema)),
            ("output", pretty(&self.output_schema)),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}
