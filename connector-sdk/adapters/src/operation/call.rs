//! One call as an adapter sees it.

use std::time::Duration;

use async_trait::async_trait;
use fulcrum_sdk::{Context, Failure};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::template::Scope;

/// One call: its input, its keys, and when it must have ended.
pub struct Call<'a> {
    /// The context of the task.
    pub context: &'a Context,
    /// The input, already checked against the schema.
    pub input: &'a Value,
    /// When the call must have ended.
    pub deadline: Instant,
}

impl Call<'_> {
    /// What templates see: `input`, `effect_key`, `run_id`, `step_key`.
    pub fn scope(&self) -> Scope {
        Scope::new(&json!({
            "input": self.input,
            "effect_key": self.context.effect_key(),
            "run_id": self.context.run_id(),
            "step_key": self.context.step_key(),
        }))
    }

    /// The time left until the deadline.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// What an adapter does for one capability.
#[async_trait]
pub trait Operation: Send + Sync {
    /// Does it once. Dropping the future stops the work: no child process or open request outlives it.
    async fn perform(&self, call: &Call<'_>) -> Result<Value, Failure>;
}
