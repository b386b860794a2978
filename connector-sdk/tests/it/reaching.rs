//! Finding a controller: one that is not up yet, and one of several.

use std::time::Duration;

use fulcrum_sdk::{EnrolError, enrol_when_up};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    capabilities::{doubling, holding},
    controller::Controller,
    listener::Manner,
    messages::{output, task},
    service::COME_BACK,
};

#[tokio::test]
async fn joining_waits_for_a_controller_that_is_not_up_yet() {
    let controller = Controller::start();
    controller.enrolment_door().behave(Manner::Shut);
    let token = controller.authority().token("secret");
    let (enrolment, dir) = (controller.enrolment(&token), controller.identity());
    let stop = CancellationToken::new();
    let joining = tokio::spawn(async move { enrol_when_up(&enrolment, &dir, &stop).await });
    controller.enrolment_door().knocked(3).await;
    assert!(!joining.is_finished());

    controller.enrolment_door().behave(Manner::Open);
    let joined = tokio::time::timeout(Duration::from_secs(20), joining).await;
    let about = joined.unwrap().unwrap().unwrap();
    assert_eq!(about.expect("nobody told it to stop").name, "box");
    assert!(controller.identity().is_enrolled());
}

#[tokio::test]
async fn joining_comes_back_when_asked_to_and_with_the_same_key() {
    let controller = Controller::start();
    controller.state().enrolment_failures = 2;
    let token = controller.authority().token("secret");
    let (enrolment, dir) = (controller.enrolment(&token), controller.identity());
    let stop = CancellationToken::new();
    let joined = enrol_when_up(&enrolment, &dir, &stop).await.unwrap();
    assert!(joined.is_some());
    let calls = controller.enrolment_door().called(3).await;
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= COME_BACK));
    let state = controller.state();
    assert_eq!(state.enrolled.len(), 3);
    assert!(
        state
            .enrolled
            .iter()
            .all(|call| call.csr_der == state.enrolled[0].csr_der)
    );
}

#[tokio::test]
async fn a_refused_token_is_not_waited_for() {
    let controller = Controller::start();
    let token = controller.authority().token("guess");
    let (enrolment, dir) = (controller.enrolment(&token), controller.identity());
    let refused = enrol_when_up(&enrolment, &dir, &CancellationToken::new()).await;
    let Err(EnrolError::Refused(refusal)) = refused else {
        panic!("expected a refusal, got {refused:?}");
    };
    assert_eq!(refusal.code, Code::Unauthenticated);
    assert_eq!(controller.state().enrolled.len(), 1);
}

#[tokio::test]
async fn joining_ends_when_told_to_stop() {
    let controller = Controller::start();
    controller.enrolment_door().behave(Manner::Shut);
    let token = controller.authority().token("secret");
    let (enrolment, dir) = (controller.enrolment(&token), controller.identity());
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let joining = tokio::spawn(async move { enrol_when_up(&enrolment, &dir, &stop).await });
    controller.enrolment_door().knocked(1).await;
    stopping.cancel();
    let joined = tokio::time::timeout(Duration::from_secs(20), joining).await;
    assert!(joined.unwrap().unwrap().unwrap().is_none());
}

#[tokio::test]
async fn a_worker_waits_for_a_controller_that_is_not_up_at_its_start() {
    let controller = Controller::start();
    controller.doors()[0].behave(Manner::Shut);
    let working = controller
        .work(|worker| worker.capability(doubling()))
        .await;
    controller.doors()[0].knocked(3).await;
    controller.doors()[0].behave(Manner::Open);
    controller.offer(task("a", "math.double", json!(21)));
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(output(&report), json!(42));
    working.stop().await.unwrap();
}

#[tokio::test]
async fn a_busy_controller_is_left_alone_for_as_long_as_it_asks() {
    let controller = Controller::start();
    controller.doors()[0].behave(Manner::Busy);
    let working = controller
        .work(|worker| worker.capability(doubling()))
        .await;
    let calls = controller.doors()[0].called(3).await;
    assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= COME_BACK));
    working.stop().await.unwrap();
}

#[tokio::test]
async fn when_a_controller_fails_the_worker_goes_to_the_next() {
    let controller = Controller::with_doors(2);
    let working = controller
        .work(|worker| worker.capability(doubling()))
        .await;
    controller
        .until(|state| (!state.polls.is_empty()).then_some(()))
        .await;
    // One after the other stops serving, in either manner, and the other takes over.
    for (number, manner) in [Manner::Shut, Manner::Busy, Manner::Shut, Manner::Busy]
        .into_iter()
        .enumerate()
    {
        let (failing, other) = (number % 2, (number + 1) % 2);
        controller.doors()[other].behave(Manner::Open);
        controller.doors()[failing].behave(manner);
        // A parked poll at a busy controller ends only with its connection.
        controller.doors()[failing].cut();
        let before = controller.doors()[other].calls();
        controller.offer(task(&format!("t{number}"), "math.double", json!(number)));
        let report = controller
            .until(|state| state.reports.get(number).cloned())
            .await;
        assert_eq!(output(&report), json!(number * 2));
        assert!(controller.doors()[other].calls() > before);
    }
    working.stop().await.unwrap();
}

#[tokio::test]
async fn leases_are_renewed_through_the_next_controller() {
    let controller = Controller::with_doors(2);
    controller.state().lease_ttl = Some(Duration::from_secs(15));
    let (hold, gate) = holding();
    controller.offer(task("a", "hold", json!(7)));
    let working = controller.work(|worker| worker.capability(hold)).await;
    for failing in [0, 1] {
        controller.doors()[1 - failing].behave(Manner::Open);
        controller.doors()[failing].behave(Manner::Shut);
        let before = controller.state().beats;
        controller
            .until(|state| (state.beats >= before + 3).then_some(()))
            .await;
    }
    gate.open();
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    assert_eq!(output(&report), json!(7));
    working.stop().await.unwrap();
}
