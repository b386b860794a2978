use fulcrum_proto::common::v1::EffectClass as WireEffect;
use fulcrum_sdk::{Context, Contract, EffectClass, Failure, capability};
use serde_json::{Value, json};

use crate::{
    capabilities::{doubling, holding},
    controller::Controller,
    messages::{failure_code, output, task},
};

#[tokio::test]
async fn a_task_is_done_and_reported() {
    let controller = Controller::start();
    controller.offer(task("a", "math.double", json!(21)));
    let working = controller
        .work(|worker| worker.capability(doubling()))
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(output(&report), json!(42));
    working.stop().await.unwrap();

    let registered = controller.state().registered.clone().unwrap();
    assert_eq!(registered.contracts[0].name, "math.double");
    assert_eq!(registered.contracts[0].effect(), WireEffect::Read);
}

#[tokio::test]
async fn never_more_tasks_are_asked_for_than_slots_are_free() {
    let controller = Controller::start();
    for number in 0..20 {
        controller.offer(task(&format!("t{number}"), "math.double", json!(number)));
    }
    let working = controller
        .work(|worker| worker.slots(3).capability(doubling()))
        .await;
    controller
        .until(|state| (state.reports.len() == 20).then_some(()))
        .await;
    assert!(controller.state().polls.iter().all(|poll| poll.slots <= 3));
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_reports_answer_may_carry_the_next_task() {
    let controller = Controller::start();
    controller.offer(task("a", "math.double", json!(1)));
    let next = task("b", "math.double", json!(2));
    controller.state().next_tasks.push_back(next);
    let working = controller
        .work(|worker| worker.capability(doubling()))
        .await;
    let report = controller
        .until(|state| state.reports.get(1).cloned())
        .await;
    assert_eq!(output(&report), json!(4));
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_report_is_repeated_until_it_is_heard() {
    let controller = Controller::start();
    controller.state().report_failures = 2;
    controller.offer(task("a", "math.double", json!(1)));
    let working = controller
        .work(|worker| worker.capability(doubling()))
        .await;
    controller
        .until(|state| (state.reports.len() == 1).then_some(()))
        .await;
    working.stop().await.unwrap();
    assert_eq!(controller.state().reports.len(), 1);
}

#[tokio::test]
async fn a_forgotten_worker_registers_again() {
    let controller = Controller::start();
    let working = controller
        .work(|worker| worker.capability(doubling()))
        .await;
    controller
        .until(|state| (!state.polls.is_empty()).then_some(()))
        .await;
    controller.state().forgot_worker = true;
    controller.offer(task("a", "math.double", json!(1)));
    controller
        .until(|state| (state.reports.len() == 1).then_some(()))
        .await;
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_is_reported_and_the_worker_goes_on() {
    async fn explode(_ctx: Context, _input: Value) -> Result<Value, Failure> {
        panic!("boom");
    }
    let controller = Controller::start();
    controller.offer(task("a", "bomb", json!(null)));
    controller.offer(task("b", "math.double", json!(3)));
    let working = controller
        .work(|worker| {
            worker
                .slots(1)
                .capability(capability(
                    Contract::new("bomb", EffectClass::Outward),
                    explode,
                ))
                .capability(doubling())
        })
        .await;
    let reports = controller
        .until(|state| (state.reports.len() == 2).then(|| state.reports.clone()))
        .await;
    assert_eq!(failure_code(&reports[0]), "PANICKED");
    assert_eq!(output(&reports[1]), json!(6));
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_asks_for_nothing_more() {
    let controller = Controller::start();
    let (hold, mut gate) = holding();
    controller.offer(task("a", "hold", json!(7)));
    let working = controller.work(|worker| worker.capability(hold)).await;
    gate.entered().await;
    working.shutdown.cancel();
    // The parked poll is given up, and asked after with no slots.
    controller
        .until(|state| state.polls.iter().any(|poll| poll.slots == 0).then_some(()))
        .await;
    controller.offer(task("b", "hold", json!(8)));
    gate.open();
    working.ended().await.unwrap();
    let state = controller.state();
    assert_eq!(state.reports.len(), 1);
    assert_eq!(output(&state.reports[0]), json!(7));
    assert_eq!(state.queue.len(), 1, "no task was taken while draining");
}

#[tokio::test]
async fn a_cut_connection_is_made_anew_and_running_work_is_reported_over_it() {
    let controller = Controller::start();
    let (hold, mut gate) = holding();
    controller.offer(task("a", "hold", json!(7)));
    let working = controller
        .work(|worker| worker.capability(hold).capability(doubling()))
        .await;
    gate.entered().await;
    controller.cut_connections();
    controller.offer(task("b", "math.double", json!(4)));
    let first = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(
        output(&first),
        json!(8),
        "work comes in over a new connection"
    );
    gate.open();
    let second = controller
        .until(|state| state.reports.get(1).cloned())
        .await;
    assert_eq!(output(&second), json!(7));
    working.stop().await.unwrap();
}
