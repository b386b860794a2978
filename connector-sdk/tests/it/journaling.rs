use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fulcrum_proto::worker::v1::{
    JournalEntry, ParkedOperation, TaskReport, journal_entry, parked_operation, task_report,
};
use fulcrum_sdk::{Context, Contract, Decision, EffectClass, Failure, Question, capability};
use serde_json::{Value, json};

use crate::{
    controller::Controller,
    messages::{failure_code, output, payload, task},
};

fn contract(name: &str) -> Contract {
    Contract::new(name, EffectClass::Reversible)
}

fn parked(report: &TaskReport) -> Vec<ParkedOperation> {
    match &report.outcome {
        Some(task_report::Outcome::Parked(parked)) => parked.operations.clone(),
        other => panic!("expected to be parked, got {other:?}"),
    }
}

fn completed(operation: &ParkedOperation, value: &Value) -> JournalEntry {
    JournalEntry {
        name: operation.name.clone(),
        input_digest: operation.input_digest.clone(),
        outcome: Some(journal_entry::Outcome::Output(payload(value))),
    }
}

#[tokio::test]
async fn a_task_parks_and_resumes_without_doing_a_step_again() {
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let book = move |ctx: Context, _input: Value| {
        let steps = Arc::clone(&counted);
        async move {
            let seat: i64 = ctx
                .step("seat", async {
                    steps.fetch_add(1, Ordering::SeqCst);
                    Ok(7)
                })
                .await?;
            let price: i64 = ctx
                .call("price", "shop.price", &json!({"seat": seat}))
                .await?;
            let question = Question::new("Buy it?", json!(price)).editable();
            let decision: Decision = ctx.review("buy", question).await?;
            Ok(json!([seat, price, decision.approved]))
        }
    };
    let controller = Controller::start();
    let mut grant = task("a", "book", json!(null));
    controller.offer(grant.clone());
    let working = controller
        .work(|worker| {
            worker
                .slots(1)
                .capability(capability(contract("book"), book))
        })
        .await;

    let first = controller
        .until(|state| state.reports.first().cloned())
        .await;
    let [price] = &parked(&first)[..] else {
        panic!("it waits for the call alone");
    };
    let Some(parked_operation::Operation::Call(call)) = &price.operation else {
        panic!("it waits for a call, got {price:?}");
    };
    assert_eq!(call.capability, "shop.price");
    let journal = controller.state().journals[&b"a"[..]].clone();
    assert_eq!(journal[0].name, "seat");

    grant.lease = "b".into();
    grant.lease_seq = 2;
    grant.journal = journal;
    grant.journal.push(completed(price, &json!(99)));
    controller.offer(grant.clone());
    let second = controller
        .until(|state| state.reports.get(1).cloned())
        .await;
    let [buy] = &parked(&second)[..] else {
        panic!("it waits for the review alone");
    };

    grant.lease = "c".into();
    grant.lease_seq = 3;
    let decision = json!({"approved": true, "value": 99, "comment": "go"});
    grant.journal.push(completed(buy, &decision));
    controller.offer(grant);
    let third = controller
        .until(|state| state.reports.get(2).cloned())
        .await;
    assert_eq!(output(&third), json!([7, 99, true]));
    assert_eq!(steps.load(Ordering::SeqCst), 1);
    working.stop().await.unwrap();
}

#[tokio::test]
async fn everything_waited_for_at_once_is_parked_together() {
    async fn wait(ctx: Context, _input: Value) -> Result<Value, Failure> {
        let (slept, signal) = tokio::join!(
            ctx.sleep("nap", Duration::from_secs(60)),
            ctx.wait::<Value>("go", "go-ahead", None),
        );
        slept?;
        Ok(signal?.unwrap_or_default())
    }
    let controller = Controller::start();
    controller.offer(task("a", "wait", json!(null)));
    let working = controller
        .work(|worker| worker.capability(capability(contract("wait"), wait)))
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    let names: Vec<_> = parked(&report).into_iter().map(|op| op.name).collect();
    assert_eq!(names, ["go", "nap"]);
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_name_used_twice_fails_the_task() {
    async fn twice(ctx: Context, _input: Value) -> Result<Value, Failure> {
        let one: i64 = ctx.step("same", async { Ok(1) }).await?;
        let two: i64 = ctx.step("same", async { Ok(2) }).await?;
        Ok(json!([one, two]))
    }
    let controller = Controller::start();
    controller.offer(task("a", "twice", json!(null)));
    let working = controller
        .work(|worker| worker.capability(capability(contract("twice"), twice)))
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(failure_code(&report), "JOURNAL_NAME_REUSED");
    working.stop().await.unwrap();
}
