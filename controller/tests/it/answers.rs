//! Answers to workers have room for so much, journals included.

use std::time::Duration;

use fulcrum_controller::engine::delivery::{Delivery, Handed};
use fulcrum_controller::engine::token::LeaseToken;
use fulcrum_controller::engine::working::LeaseCall;
use fulcrum_core::decide::command::{Operation, OperationRequest, ReportOutcome};
use fulcrum_core::event::StepKey;
use fulcrum_core::failure::code;
use fulcrum_core::ids::RunId;
use fulcrum_core::payload::Payload;
use fulcrum_core::store::RunStatus;
use fulcrum_core::time::Millis;
use serde_json::{Value, json};

use crate::engine::{NAMESPACE, WORKER, World, world_with};

const ONE_STEP: &str = "workflow: one
steps:
  - { id: a, call: test.long, with: { n: 1 } }
output: \"${steps.a.output}\"
";

/// What an answer has room for in these tests.
const ANSWER_BYTES_MAX: u64 = 6_000;

/// Records an operation with a result of so many bytes, and waits for a moment without a slot.
async fn record_and_park(world: &World, delivery: &Delivery, bytes: usize) {
    let token = LeaseToken::of(&delivery.task);
    let mut namer = world.engine.namer(token.run).expect("names");
    let output = namer
        .name(Payload::json(&json!("x".repeat(bytes))))
        .expect("a small payload");
    let recorded = vec![("recorded".to_owned(), [1; 32], output)];
    world
        .engine
        .append_journal(WORKER, token.clone(), recorded, None)
        .await
        .expect("recorded");
    let nap = Operation {
        name: "nap".to_owned(),
        input_digest: [2; 32],
        request: OperationRequest::Sleep { span: Millis(1) },
    };
    let parked = ReportOutcome::Parked {
        operations: vec![nap],
    };
    world
        .engine
        .report(WORKER, token, parked, None)
        .await
        .expect("parked");
}

/// Waits until the nap of this run's task is over.
async fn rested(world: &World, run: RunId) {
    let nap = StepKey::first("a").operation("nap");
    let over = async {
        loop {
            let (state, _) = world.engine.run(NAMESPACE, run).await.expect("the run");
            if state.step(&nap).is_some_and(|nap| !nap.is_open()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), over)
        .await
        .expect("it rested long enough");
}

#[tokio::test]
async fn a_task_whose_journal_fits_into_no_answer_fails_its_step() {
    let world = world_with(&[ONE_STEP], ANSWER_BYTES_MAX);
    let run = world.start("one", json!({}), None).await.expect("started");
    let granted = world.lease("test.long", 1).await;
    record_and_park(&world, &granted[0], 5_500).await;
    assert!(world.lease("test.long", 1).await.is_empty());
    assert_eq!(
        world.closed(run.run()).await,
        (RunStatus::Failed, Value::Null)
    );
    let (state, _) = world
        .engine
        .run(NAMESPACE, run.run())
        .await
        .expect("the run");
    let failure = state.failure.clone().expect("it says why");
    assert_eq!(failure.code, code::LIMIT_EXCEEDED);
    assert!(
        failure.message.contains("message_out_bytes_max"),
        "{failure:?}"
    );
    world.end().await;
}

#[tokio::test]
async fn a_worker_that_reads_values_by_themselves_is_given_what_fits_into_no_answer() {
    let world = world_with(&[ONE_STEP], ANSWER_BYTES_MAX);
    let run = world.start("one", json!({}), None).await.expect("started");
    let granted = world.lease("test.long", 1).await;
    record_and_park(&world, &granted[0], 5_500).await;
    rested(&world, run.run()).await;
    let call = LeaseCall {
        worker: WORKER,
        namespace: NAMESPACE,
        capabilities: vec!["test.long".to_owned()],
        slots: 1,
        wait: Duration::from_secs(10),
        call_id: String::new(),
        whole_bytes_max: Some(1 << 20),
    };
    let granted = world.engine.lease(call).await.expect("a lease call");
    let mut closed = granted[0].journal.iter();
    let recorded = closed.find(|closed| closed.name == "recorded");
    let recorded = recorded.expect("it was").result.clone();
    let recorded = recorded.expect("it ended well");
    assert!(
        matches!(recorded, Some(Handed::Apart(reference)) if reference.bytes == 5_502),
        "{recorded:?}"
    );
    assert_eq!(
        granted[0].input.value(),
        Some(json!({"n": 1})),
        "it is small"
    );
    let done = world.complete(&granted[0], json!("done")).await;
    done.expect("accepted");
    world.end().await;
}

#[tokio::test]
async fn journals_that_do_not_fit_into_one_answer_come_in_several() {
    let world = world_with(&[ONE_STEP], ANSWER_BYTES_MAX);
    let mut runs = Vec::new();
    let mut held = Vec::new();
    for _ in 0..3 {
        let run = world.start("one", json!({}), None).await.expect("started");
        runs.push(run.run());
        held.extend(world.lease("test.long", 1).await);
    }
    for delivery in &held {
        record_and_park(&world, delivery, 2_500).await;
    }
    for run in &runs {
        rested(&world, *run).await;
    }
    // All three are ready, and one answer has room for one of them.
    for _ in 0..3 {
        let granted = world.lease("test.long", 3).await;
        assert_eq!(granted.len(), 1);
        assert_eq!(granted[0].journal.len(), 2);
        world
            .complete(&granted[0], json!("done"))
            .await
            .expect("accepted");
    }
    for run in runs {
        assert_eq!(
            world.closed(run).await,
            (RunStatus::Completed, json!("done"))
        );
    }
    world.end().await;
}
