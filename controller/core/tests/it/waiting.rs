//! Sleeps, signals and reviews.

use fulcrum_core::decide::Rejection;
use fulcrum_core::decide::command::Approve;
use fulcrum_core::definition::model::{OnExpiry, OnReject, Review, Step, StepKind};
use fulcrum_core::failure::code;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::RunStatus;
use fulcrum_core::time::Millis;
use serde_json::{Value, json};

use crate::build::*;
use crate::world::World;

#[test]
fn a_sleep_ends_with_its_timer_and_a_past_instant_at_once() {
    let past = step(
        "past",
        StepKind::Until {
            at: literal(json!("2001-01-01T00:00:00Z")),
        },
    );
    let mut world = World::new(workflow(vec![past, sleep("nap", "2h")]));
    let begun = world.now;
    let run = world.start(json!(null)).unwrap();
    world.fire_next();
    assert_eq!(world.now.since(begun), Millis(7_200_000));
    assert_eq!(world.runs[&run].status, RunStatus::Completed);
}

#[test]
fn signals_are_kept_and_taken_in_order() {
    let steps = vec![
        wait("one", "paid"),
        wait("two", "paid"),
        call_with("after", expr("[steps.one.output, steps.two.output]")),
    ];
    let mut world = World::new(workflow(steps));
    let run = world.start(json!(null)).unwrap();
    world.signal(run, "other", json!(0)).unwrap();
    world.signal(run, "paid", json!(1)).unwrap();
    world.signal(run, "paid", json!(2)).unwrap();
    assert_eq!(world.task_input(run, "after"), json!([1, 2]));
    assert_eq!(world.runs[&run].signals.len(), 1);
    world.limits.signals_buffered_max = 1;
    let refused = world.signal(run, "other", json!(0));
    assert_eq!(
        refused,
        Err(Rejection::LimitExceeded {
            limit: "signals_buffered_max",
            max: 1,
            actual: 2
        })
    );
}

#[test]
fn a_wait_without_its_signal_fails_in_time() {
    let mut world = World::new(workflow(vec![
        wait("w", "paid").within(Millis::from_secs(9)),
    ]));
    let run = world.start(json!(null)).unwrap();
    world.fire_next();
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::WAIT_TIMEOUT
    );
}

#[test]
fn too_many_open_waits_fail_the_one_too_many() {
    let members = (0..4).map(|n| wait(&format!("w{n}"), "paid")).collect();
    let mut world = World::new(workflow(vec![parallel("p", members)]));
    world.limits.open_waits_max = 3;
    let run = world.start(json!(null)).unwrap();
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::LIMIT_EXCEEDED
    );
}

fn asking(change: impl FnOnce(&mut Review)) -> (World, RunId) {
    let mut ask: Step = review("r", literal(json!({ "amount": 5 })));
    if let StepKind::Review(review) = &mut ask.kind {
        change(review);
    }
    let mut world = World::new(workflow(vec![
        ask,
        call_with("after", expr("steps.r.output")),
    ]));
    let run = world.start(json!(null)).unwrap();
    (world, run)
}

#[test]
fn an_approved_review_gives_what_was_shown_or_its_edited_version() {
    let (mut world, run) = asking(|_| {});
    let row = world.reviews.values().next().unwrap().clone();
    assert_eq!(
        world.value(Some(row.content)),
        json!({ "title": "Is this right?", "show": { "amount": 5 } })
    );
    world
        .review(run, "r", Approve::Yes { edited: None })
        .unwrap();
    assert_eq!(world.task_input(run, "after"), json!({ "amount": 5 }));
    assert!(world.reviews.is_empty() && world.timers.is_empty());
    assert!(matches!(
        world.review(run, "r", Approve::No),
        Err(Rejection::ReviewNotOpen(_))
    ));

    let (mut world, run) = asking(|_| {});
    let edited = Some(world.payload(run, &json!({ "amount": 4 })));
    world.review(run, "r", Approve::Yes { edited }).unwrap();
    assert_eq!(world.task_input(run, "after"), json!({ "amount": 4 }));

    let (mut world, run) = asking(|review| review.edit = false);
    let edited = Some(world.payload(run, &json!(1)));
    assert!(matches!(
        world.review(run, "r", Approve::Yes { edited }),
        Err(Rejection::NotEditable(_))
    ));
}

#[test]
fn a_decision_on_other_content_is_refused() {
    let (mut world, run) = asking(|_| {});
    world.reviews.values_mut().next().unwrap().content.hash = [9; 32];
    let refused = world.review(run, "r", Approve::Yes { edited: None });
    assert!(matches!(refused, Err(Rejection::ReviewChanged { .. })));
}

#[test]
fn a_rejection_fails_unless_told_to_go_on() {
    let (mut world, run) = asking(|_| {});
    world.review(run, "r", Approve::No).unwrap();
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::REJECTED
    );
    let (mut world, run) = asking(|review| review.on_reject = OnReject::Continue);
    world.review(run, "r", Approve::No).unwrap();
    assert_eq!(world.task_input(run, "after"), Value::Null);
}

#[test]
fn an_expired_review_takes_its_branch() {
    let expired = |on_expiry| {
        let (mut world, run) = asking(|review| review.on_expiry = on_expiry);
        world.fire_next();
        (world, run)
    };
    let (world, run) = expired(OnExpiry::Fail);
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::REVIEW_EXPIRED
    );
    let (world, run) = expired(OnExpiry::Approve);
    assert_eq!(world.task_input(run, "after"), json!({ "amount": 5 }));
    let (world, run) = expired(OnExpiry::Reject);
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::REJECTED
    );
    let (mut world, run) = expired(OnExpiry::Escalate);
    assert!(
        world.reviews.len() == 1 && world.timers.is_empty(),
        "it stays open"
    );
    world
        .review(run, "r", Approve::Yes { edited: None })
        .unwrap();
    assert_eq!(world.task_input(run, "after"), json!({ "amount": 5 }));
}
