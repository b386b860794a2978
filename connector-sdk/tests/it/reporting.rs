//! Reports that are not accepted at once.

use fulcrum_proto::common::v1::ErrorReason;
use serde_json::json;

use crate::{
    capabilities::doubling,
    controller::Controller,
    messages::{output, task},
};

#[tokio::test]
async fn a_report_the_controller_cannot_take_now_is_handed_in_again() {
    let controller = Controller::start();
    controller.state().item_errors = [
        ErrorReason::Internal,
        ErrorReason::Overloaded,
        ErrorReason::LimitExceeded,
        ErrorReason::StoreUnavailable,
        ErrorReason::Draining,
    ]
    .into();
    controller.offer(task("a", "math.double", json!(21)));
    let working = controller
        .work(|worker| worker.slots(1).capability(doubling()))
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(output(&report), json!(42));
    assert_eq!(controller.state().report_tries[&b"a"[..]], 6);
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_report_that_waits_holds_up_no_other() {
    let controller = Controller::start();
    controller.state().item_errors = [ErrorReason::Internal; 4].into();
    controller.offer(task("a", "math.double", json!(1)));
    let working = controller
        .work(|worker| worker.slots(2).capability(doubling()))
        .await;
    controller
        .until(|state| state.report_tries.contains_key(&b"a"[..]).then_some(()))
        .await;
    for number in 0..20 {
        controller.offer(task(&format!("t{number}"), "math.double", json!(number)));
    }
    let reports = controller
        .until(|state| (state.reports.len() == 21).then(|| state.reports.clone()))
        .await;
    assert!(reports.iter().any(|report| report.lease == "a"));
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_refusal_about_the_report_or_its_lease_is_for_good() {
    let controller = Controller::start();
    let reasons = [
        ErrorReason::LeaseLost,
        ErrorReason::OutputSchemaMismatch,
        ErrorReason::PayloadTooLarge,
        ErrorReason::InvalidRequest,
    ];
    controller.state().item_errors = reasons.into();
    for number in 0..=reasons.len() {
        controller.offer(task(&format!("t{number}"), "math.double", json!(number)));
    }
    let working = controller
        .work(|worker| worker.slots(1).capability(doubling()))
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(output(&report), json!(2 * reasons.len()));
    working.stop().await.unwrap();
    let state = controller.state();
    assert_eq!(state.report_tries.len(), reasons.len() + 1);
    assert!(state.report_tries.values().all(|tries| *tries == 1));
}

#[tokio::test]
async fn a_report_is_not_repeated_once_its_lease_is_known_to_be_lost() {
    let controller = Controller::start();
    {
        let mut state = controller.state();
        // For ever, as far as this test goes.
        state.item_errors = vec![ErrorReason::StoreUnavailable; 10_000].into();
    }
    controller.offer(task("a", "math.double", json!(1)));
    let working = controller
        .work(|worker| worker.slots(1).capability(doubling()))
        .await;
    controller
        .until(|state| state.report_tries.contains_key(&b"a"[..]).then_some(()))
        .await;
    controller.state().standing = fulcrum_proto::worker::v1::LeaseState::Lost;
    // Its slot is free again: a poll asks for it.
    let polls = controller.state().polls.len();
    controller
        .until(|state| (state.polls.len() > polls).then_some(()))
        .await;
    working.stop().await.unwrap();
    assert!(controller.state().reports.is_empty());
}
