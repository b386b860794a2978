//! Every kind of step of the language, on real processes: what it gives, and what its timeline tells.

mod blocks;
mod cancelling;
mod failing;
mod fanning;
mod limits;
mod reviewing;
mod values;
mod waiting;

use std::sync::Arc;

use fulcrum_e2e::stack::Stack;
use serde_json::Value;

use crate::crew::Crew;
use crate::stage::{Stage, capabilities, read};
use crate::story;

/// A stack with one worker inside the test, and these fixtures applied.
struct Place {
    stack: Stack,
    stage: Arc<Stage>,
    _crew: Crew,
}

impl Place {
    async fn with(fixtures: &[&str]) -> anyhow::Result<Self> {
        let stack = Stack::start().await?;
        let stage = Stage::new();
        let _crew = Crew::join(&stack, "crew", 16, capabilities(&stage)).await?;
        story::apply(&stack.api, fixtures).await?;
        Ok(Self {
            stack,
            stage,
            _crew,
        })
    }

    /// Makes this capability known, with nobody there who serves it.
    async fn serve_no_more(&self, capability: &str) -> anyhow::Result<()> {
        let gone = Arc::new(fulcrum_sdk::capability(
            read(capability),
            |_ctx, value: Value| async { Ok(value) },
        ));
        Crew::join(&self.stack, "gone", 1, vec![gone])
            .await?
            .leave()
            .await
    }
}
