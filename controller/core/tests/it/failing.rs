//! Failures: retried, caught, absorbed, or the end.

use fulcrum_core::contract::Idempotency;
use fulcrum_core::decide::Rejection;
use fulcrum_core::decide::command::ReportOutcome;
use fulcrum_core::definition::model::Retry;
use fulcrum_core::event::{Event, StepKey};
use fulcrum_core::failure::{Failure, FailureClass, code};
use fulcrum_core::ids::RunId;
use fulcrum_core::store::RunStatus;
use fulcrum_core::task::{Due, TaskState};
use fulcrum_core::time::Millis;
use serde_json::json;

use crate::build::*;
use crate::world::{World, contract};

fn failure_code(world: &World, run: RunId) -> &str {
    &world.runs[&run]
        .failure
        .as_ref()
        .expect("the run failed")
        .code
}

fn single(idempotency: Idempotency) -> (World, RunId) {
    let mut world = World::new(workflow(vec![call("a")]));
    world
        .contracts
        .insert("do.a".to_owned(), contract("do.a", idempotency));
    let run = world.start(json!(null)).unwrap();
    (world, run)
}

#[test]
fn a_transient_failure_is_retried_until_attempts_run_out() {
    let mut step = call("a");
    step.retry = Some(Retry {
        max_attempts: 3,
        ..Retry::default()
    });
    let mut world = World::new(workflow(vec![step]));
    let run = world.start(json!(null)).unwrap();
    for attempt in 1..3 {
        world.refuse(run, "a", FailureClass::Transient);
        let task = world.tasks.values().next().unwrap();
        assert_eq!((task.state, task.attempt), (TaskState::Ready, attempt + 1));
        assert!(task.ready_at.since(world.now).0 <= 1_000 << (attempt - 1));
    }
    world.refuse(run, "a", FailureClass::Transient);
    assert_eq!(world.runs[&run].status, RunStatus::Failed);
    assert_eq!(failure_code(&world, run), "BROKEN");
}

#[test]
fn a_code_that_is_never_retried_and_a_fatal_class_stop_at_once() {
    for (class, refused) in [
        (FailureClass::Transient, true),
        (FailureClass::Fatal, false),
        (FailureClass::Recoverable, false),
    ] {
        let mut step = call("a");
        let non_retryable = if refused {
            vec!["BROKEN".to_owned()]
        } else {
            vec![]
        };
        step.retry = Some(Retry {
            non_retryable,
            ..Retry::default()
        });
        let mut world = World::new(workflow(vec![step]));
        let run = world.start(json!(null)).unwrap();
        world.refuse(run, "a", class);
        assert_eq!(failure_code(&world, run), "BROKEN");
    }
}

#[test]
fn retry_after_is_the_least_delay() {
    let mut world = World::new(workflow(vec![call("a")]));
    let run = world.start(json!(null)).unwrap();
    let granted = world.grant(run, "a");
    let mut failure = Failure::new(FailureClass::Transient, "BUSY", "come back later");
    failure.retry_after = Some(Millis::from_secs(600));
    world
        .report(
            run,
            "a",
            &granted,
            ReportOutcome::Failed {
                failure,
                details: None,
            },
        )
        .unwrap();
    assert!(
        world.tasks.values().next().unwrap().ready_at >= world.now.plus(Millis::from_secs(600))
    );
}

#[test]
fn an_unknown_outcome_is_repeated_only_if_repeating_does_no_harm() {
    let (mut world, run) = single(Idempotency::Keyed);
    world.refuse(run, "a", FailureClass::Unknown);
    assert_eq!(world.runs[&run].status, RunStatus::Running);
    let (mut world, run) = single(Idempotency::None);
    world.refuse(run, "a", FailureClass::Unknown);
    assert_eq!(failure_code(&world, run), "BROKEN");
}

#[test]
fn an_expired_lease_is_offered_again_until_it_is_poison() {
    let (mut world, run) = single(Idempotency::Keyed);
    for crash in 1..world.limits.crash_count_max {
        world.grant(run, "a");
        world.due(run, "a", Due::LeaseDeadline).unwrap();
        let task = world.tasks.values().next().unwrap();
        assert_eq!(
            (task.state, task.crashes, task.attempt),
            (TaskState::Ready, crash, 1)
        );
    }
    world.grant(run, "a");
    world.due(run, "a", Due::LeaseDeadline).unwrap();
    assert_eq!(failure_code(&world, run), code::POISON);
    let leases = world.limits.crash_count_max.to_string();
    let failure = world.runs[&run].failure.as_ref().expect("it says why");
    assert!(failure.message.starts_with(&leases), "{failure:?}");
}

#[test]
fn an_expired_lease_of_a_call_that_must_not_be_repeated_is_an_unknown_outcome() {
    let (mut world, run) = single(Idempotency::None);
    world.grant(run, "a");
    world.due(run, "a", Due::LeaseDeadline).unwrap();
    assert_eq!(failure_code(&world, run), code::OUTCOME_UNKNOWN);
}

#[test]
fn a_call_that_was_scheduled_before_its_contract_was_known_goes_by_the_one_there_is_now() {
    let mut world = World::new(workflow(vec![call("a")]));
    let run = world.start(json!(null)).unwrap();
    world
        .contracts
        .insert("do.a".to_owned(), contract("do.a", Idempotency::Keyed));
    world.grant(run, "a");
    world.due(run, "a", Due::LeaseDeadline).unwrap();
    world.refuse(run, "a", FailureClass::Unknown);
    assert_eq!(world.runs[&run].status, RunStatus::Running);
}

#[test]
fn late_report_after_expiry_is_refused() {
    let (mut world, run) = single(Idempotency::Keyed);
    let old = world.grant(run, "a");
    world.due(run, "a", Due::LeaseDeadline).unwrap();
    let _new = world.grant(run, "a");
    let output = world.payload(run, &json!("late"));
    let late = world.report(run, "a", &old, ReportOutcome::Completed { output });
    assert_eq!(late, Err(Rejection::LeaseLost(old.0.task)));
}

#[test]
fn a_repeated_report_changes_nothing_even_after_the_end() {
    let (mut world, run) = single(Idempotency::Keyed);
    let granted = world.grant(run, "a");
    let output = world.payload(run, &json!(1));
    world
        .report(
            run,
            "a",
            &granted,
            ReportOutcome::Completed {
                output: output.clone(),
            },
        )
        .unwrap();
    let again = world.report(run, "a", &granted, ReportOutcome::Completed { output });
    assert!(matches!(again, Err(Rejection::Stale(_))), "{again:?}");
}

#[test]
fn times_that_run_out_have_their_codes() {
    let (mut world, run) = single(Idempotency::Keyed);
    world.due(run, "a", Due::ScheduleToStart).unwrap();
    assert_eq!(failure_code(&world, run), code::SCHEDULE_TO_START_TIMEOUT);

    let (mut world, run) = single(Idempotency::Keyed);
    world.grant(run, "a");
    world.due(run, "a", Due::StartToClose).unwrap();
    assert_eq!(
        world.tasks.values().next().unwrap().attempt,
        2,
        "a failed attempt like any other"
    );

    let mut world = World::new(workflow(vec![call("a").within(Millis::from_secs(5))]));
    let run = world.start(json!(null)).unwrap();
    world.fire_next();
    assert_eq!(failure_code(&world, run), code::TOTAL_TIMEOUT);
    assert!(world.tasks.is_empty());
}

#[test]
fn a_block_that_times_out_cleans_up_and_then_fails() {
    let body = vec![parallel("p", vec![call("a"), call("b")])];
    let steps = vec![
        attempt("careful", body, vec![call("mend")], vec![call("clean")])
            .within(Millis::from_secs(5)),
    ];
    let mut world = World::new(workflow(steps));
    let run = world.start(json!(null)).unwrap();
    world.fire_next();
    assert_eq!(world.runs[&run].status, RunStatus::Running);
    world.answer(run, "careful/clean", json!(null));
    assert_eq!(failure_code(&world, run), code::TOTAL_TIMEOUT);
}

#[test]
fn a_catch_sees_the_error_and_its_value_is_the_value_of_the_try() {
    let body = vec![switch("pick", vec![("true", vec![call("deep")])], vec![])];
    let catch = vec![call_with(
        "mend",
        expr("[error.code, error.step, error.class, error.message]"),
    )];
    let mut definition = workflow(vec![attempt("careful", body, catch, vec![call("clean")])]);
    definition.output = Some(expr("steps.careful.output"));
    let mut world = World::new(definition);
    let run = world.start(json!(null)).unwrap();
    world.refuse(run, "careful/pick/deep", FailureClass::Fatal);
    assert_eq!(
        world.task_input(run, "careful/mend"),
        json!(["BROKEN", "deep", "fatal", "it broke"])
    );
    world.answer(run, "careful/mend", json!("mended"));
    world.answer(run, "careful/clean", json!("cleaned"));
    assert_eq!(world.value(world.runs[&run].output), json!("mended"));
}

#[test]
fn what_fails_later_replaces_what_failed_before() {
    let catch = vec![fail("again", "WORSE")];
    let mut world = World::new(workflow(vec![attempt(
        "t",
        vec![fail("first", "BAD")],
        catch.clone(),
        vec![],
    )]));
    let run = world.start(json!(null)).unwrap();
    assert_eq!(failure_code(&world, run), "WORSE");
    let finally = vec![fail("last", "WORST")];
    let mut world = World::new(workflow(vec![attempt(
        "t",
        vec![fail("first", "BAD")],
        catch,
        finally,
    )]));
    let run = world.start(json!(null)).unwrap();
    assert_eq!(failure_code(&world, run), "WORST");
}

#[test]
fn an_absorbed_failure_gives_null_and_the_block_goes_on() {
    let mut world = World::new(workflow(vec![
        parallel("p", vec![call("a").absorbing(), call("b")]),
        call_with("after", expr("steps.p.output")),
    ]));
    let run = world.start(json!(null)).unwrap();
    world.refuse(run, "p/a", FailureClass::Fatal);
    world.answer(run, "p/b", json!(1));
    assert_eq!(world.task_input(run, "after"), json!({ "a": null, "b": 1 }));
}

#[test]
fn values_that_break_a_contract_fail_the_step() {
    let schema = json!({ "type": "object", "required": ["id"] });
    let mut typed = (*contract("do.a", Idempotency::Keyed)).clone();
    typed.output_schema = schema.clone();
    let mut world = World::new(workflow(vec![call("a")]));
    world
        .contracts
        .insert("do.a".to_owned(), typed.clone().into());
    let run = world.start(json!(null)).unwrap();
    world.answer(run, "a", json!({ "nothing": 1 }));
    assert_eq!(failure_code(&world, run), code::OUTPUT_SCHEMA_MISMATCH);
    typed.input_schema = schema;
    world.contracts.insert("do.a".to_owned(), typed.into());
    let run = world.start(json!(null)).unwrap();
    assert_eq!(failure_code(&world, run), code::INPUT_SCHEMA_MISMATCH);
}

#[test]
fn a_long_message_is_cut() {
    let mut world = World::new(workflow(vec![call("a")]));
    let run = world.start(json!(null)).unwrap();
    let granted = world.grant(run, "a");
    let failure = Failure::fatal(&"C".repeat(100), "ä".repeat(5_000));
    world
        .report(
            run,
            "a",
            &granted,
            ReportOutcome::Failed {
                failure,
                details: None,
            },
        )
        .unwrap();
    let failure = world.runs[&run]
        .step(&StepKey::first("a"))
        .unwrap()
        .failure
        .clone()
        .unwrap();
    assert_eq!((failure.code.len(), failure.message.len()), (64, 4_096));
    let failed = |envelope: &&fulcrum_core::event::Envelope| {
        matches!(envelope.event, Event::StepFailed { .. })
    };
    assert_eq!(world.timelines[&run].iter().filter(failed).count(), 1);
}
