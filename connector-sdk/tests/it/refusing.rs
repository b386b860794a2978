//! What is too large is refused by the worker itself.

use fulcrum_sdk::{Context, Contract, EffectClass, Failure, capability};
use serde_json::{Value, json};

use crate::{
    controller::Controller,
    messages::{failure_code, task},
};

const TOO_MUCH: usize = 2_000;

async fn flood(_ctx: Context, _input: Value) -> Result<String, Failure> {
    Ok("x".repeat(TOO_MUCH))
}

async fn remember_too_much(ctx: Context, _input: Value) -> Result<usize, Failure> {
    let all: String = ctx.step("all", async { Ok("x".repeat(TOO_MUCH)) }).await?;
    Ok(all.len())
}

async fn hand_over_too_much(ctx: Context, _input: Value) -> Result<Value, Failure> {
    ctx.call("mail", "mail.send", &"x".repeat(TOO_MUCH)).await
}

#[tokio::test]
async fn what_is_over_the_limit_is_refused_by_name_and_reported_once() {
    let controller = Controller::start();
    controller.state().payload_bytes_max = 1_000;
    let keyed = |name| {
        Contract::new(name, EffectClass::Reversible).idempotency(fulcrum_sdk::Idempotency::Natural)
    };
    let names = ["flood", "remember", "hand.over"];
    for name in names {
        controller.offer(task(name, name, json!(null)));
    }
    let working = controller
        .work(|worker| {
            worker
                .capability(capability(keyed("flood"), flood))
                .capability(capability(keyed("remember"), remember_too_much))
                .capability(capability(keyed("hand.over"), hand_over_too_much))
        })
        .await;
    let reports = controller
        .until(|state| (state.reports.len() == names.len()).then(|| state.reports.clone()))
        .await;
    for report in &reports {
        assert_eq!(failure_code(report), "PAYLOAD_TOO_LARGE", "{report:?}");
    }
    working.stop().await.unwrap();
    assert_eq!(controller.state().reports.len(), names.len());
    assert!(controller.state().journals.is_empty());
}
