//! Why something failed.

use fulcrum_proto::common::v1::Failure;
use serde::Serialize;
use serde_json::Value;

use super::word::Word as _;
use crate::client::payload;

/// A failure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailureView {
    /// What kind of failure.
    pub class: &'static str,
    /// Its stable name.
    pub code: String,
    /// What happened.
    pub message: String,
    /// Anything structured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl From<&Failure> for FailureView {
    fn from(failure: &Failure) -> Self {
        Self {
            class: failure.class().word(),
            code: failure.code.clone(),
            message: failure.message.clone(),
            details: failure.details.as_ref().map(payload::to_json),
        }
    }
}

impl FailureView {
    /// On one line.
    #[must_use]
    pub fn brief(&self) -> String {
        format!("{} ({}): {}", self.code, self.class, self.message)
    }
}
