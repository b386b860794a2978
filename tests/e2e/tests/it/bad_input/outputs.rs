//! Capabilities that do not keep what their contract promises.

use std::sync::Arc;

use async_trait::async_trait;
use fulcrum_e2e::stack::Stack;
use fulcrum_proto::workflow::v1::StepStatus;
use fulcrum_sdk::{Capability, Context, Contract, Failure};
use serde_json::{Value, json};

use crate::crew::Crew;
use crate::stage::{Stage, capabilities, read};
use crate::story;

/// Promises a number and gives back what it gets.
struct Liar(Contract);

#[async_trait]
impl Capability for Liar {
    fn contract(&self) -> &Contract {
        &self.0
    }

    async fn call(&self, _ctx: &Context, input: Value) -> Result<Value, Failure> {
        Ok(input["value"].clone())
    }
}

/// Gives back more than there may be.
async fn flood(_ctx: Context, bytes: usize) -> Result<String, Failure> {
    Ok("x".repeat(bytes))
}

async fn panic(_ctx: Context, why: String) -> Result<Value, Failure> {
    panic!("{why}")
}

#[tokio::test]
async fn an_output_that_breaks_its_contract_fails_that_step_and_nothing_else() -> anyhow::Result<()>
{
    let stack = Stack::start().await?;
    let stage = Stage::new();
    let mut all = capabilities(&stage);
    all.push(Arc::new(Liar(
        read("test.liar").schemas(json!(true), json!({ "type": "integer" })),
    )));
    all.push(Arc::new(fulcrum_sdk::capability(read("test.flood"), flood)));
    all.push(Arc::new(fulcrum_sdk::capability(read("test.panic"), panic)));
    let _crew = Crew::join(&stack, "crew", 8, all).await?;
    let api = &stack.api;
    story::apply(api, &["liar", "liar-caught", "flood", "panic", "note"]).await?;

    let lied = api.start("liar", &json!("not a number")).await?;
    let honest = api.start("liar", &json!(7)).await?;
    let noted = api.start("note", &json!({ "text": "unharmed" })).await?;
    let closed = api.closed(&lied).await;
    let failure = story::failed(&closed);
    assert_eq!(failure.code, "OUTPUT_SCHEMA_MISMATCH");
    assert!(
        failure.message.contains("integer"),
        "it says what was promised: {failure:?}"
    );
    assert_eq!(story::step(&closed, "lie").status(), StepStatus::Failed);
    let told = story::told(api, &lied).await?;
    story::assert_told(&told, &["StepOpened lie", "StepFailed lie", "RunFailed"]);
    assert_eq!(api.output(&honest).await, json!(7));
    assert_eq!(api.output(&noted).await, json!("unharmed"));
    let caught = story::output(api, "liar-caught", &json!("not a number")).await?;
    assert_eq!(caught, json!("OUTPUT_SCHEMA_MISMATCH"));

    let failure = story::failure(api, "flood", &json!(5 << 20)).await?;
    assert_eq!(failure.code, "PAYLOAD_TOO_LARGE");
    let failure = story::failure(api, "panic", &json!("on purpose")).await?;
    assert_eq!(failure.code, "PANICKED");
    assert!(failure.message.contains("on purpose"), "{failure:?}");
    assert_eq!(
        story::output(api, "note", &json!({ "text": "still here" })).await?,
        json!("still here")
    );
    Ok(())
}
