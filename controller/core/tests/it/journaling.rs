//! Tasks with a journal: parking, operations, resuming.

use fulcrum_core::decide::Rejection;
use fulcrum_core::decide::command::{
    AppendJournal, Approve, CommandKind, Operation, OperationRequest, ReportOutcome,
};
use fulcrum_core::event::{Actor, Grant, StepKey};
use fulcrum_core::failure::{FailureClass, code};
use fulcrum_core::ids::{ReviewId, RunId};
use fulcrum_core::store::RunStatus;
use fulcrum_core::task::{Lease, TaskState};
use fulcrum_core::time::Millis;
use serde_json::{Value, json};

use crate::build::*;
use crate::world::{World, worker};

fn begin() -> (World, RunId) {
    let mut world = World::new(workflow(vec![
        call("host"),
        call_with("after", expr("steps.host.output")),
    ]));
    let run = world.start(json!(null)).unwrap();
    (world, run)
}

fn operation(name: &str, request: OperationRequest) -> Operation {
    Operation {
        name: name.to_owned(),
        input_digest: [1; 32],
        request,
    }
}

fn park(
    world: &mut World,
    run: RunId,
    granted: &(Lease, Grant),
    operations: Vec<Operation>,
) -> Result<(), Rejection> {
    world.report(run, "host", granted, ReportOutcome::Parked { operations })
}

fn wait_for(name: &str, signal: &str) -> Operation {
    operation(
        name,
        OperationRequest::WaitSignal {
            signal: signal.to_owned(),
            timeout: Some(Millis(5_000)),
        },
    )
}

fn results(world: &World, run: RunId) -> Vec<(String, Result<Value, String>)> {
    let entries = world.runs[&run]
        .journal_of(&StepKey::first("host"))
        .into_iter();
    let entries = entries.map(|entry| {
        let result = entry
            .result
            .map(|output| world.value(output))
            .map_err(|failure| failure.code);
        (entry.name, result)
    });
    entries.collect()
}

fn state(world: &World, path: &str) -> TaskState {
    world
        .tasks
        .values()
        .find(|task| task.new.step.path == path)
        .expect("the task exists")
        .state
}

#[test]
fn a_task_parks_on_its_operations_and_comes_back_with_their_results() {
    let (mut world, run) = begin();
    let granted = world.grant(run, "host");
    let input = world.payload(run, &json!("in"));
    let call = operation(
        "ask",
        OperationRequest::Call {
            capability: "do.other".to_owned(),
            input,
        },
    );
    park(&mut world, run, &granted, vec![call]).unwrap();
    assert_eq!(state(&world, "host"), TaskState::Parked);
    assert_eq!(world.task_input(run, "host/ask"), json!("in"));
    world.answer(run, "host/ask", json!("out"));
    assert_eq!(state(&world, "host"), TaskState::Ready);
    assert_eq!(results(&world, run), [("ask".to_owned(), Ok(json!("out")))]);
    world.answer(run, "host", json!("done"));
    assert_eq!(world.task_input(run, "after"), json!("done"));
}

#[test]
fn a_failed_operation_is_a_result_too() {
    let (mut world, run) = begin();
    let granted = world.grant(run, "host");
    let input = world.payload(run, &json!(null));
    let call = operation(
        "ask",
        OperationRequest::Call {
            capability: "do.other".to_owned(),
            input,
        },
    );
    park(&mut world, run, &granted, vec![call]).unwrap();
    world.refuse(run, "host/ask", FailureClass::Fatal);
    assert_eq!(state(&world, "host"), TaskState::Ready);
    assert_eq!(
        results(&world, run),
        [("ask".to_owned(), Err("BROKEN".to_owned()))]
    );
}

#[test]
fn one_closed_operation_is_enough_and_there_is_one_resume_at_a_time() {
    let (mut world, run) = begin();
    let granted = world.grant(run, "host");
    park(
        &mut world,
        run,
        &granted,
        vec![wait_for("a", "a"), wait_for("b", "b")],
    )
    .unwrap();
    world.signal(run, "a", json!(1)).unwrap();
    world.signal(run, "b", json!(2)).unwrap();
    let resumed = world
        .story(run)
        .iter()
        .filter(|entry| entry.starts_with("StepResumed"))
        .count();
    assert_eq!(resumed, 1);
    assert_eq!(results(&world, run).len(), 2);
}

#[test]
fn parking_on_what_has_closed_meanwhile_gives_the_task_back_at_once() {
    let (mut world, run) = begin();
    world.signal(run, "a", json!(1)).unwrap();
    let granted = world.grant(run, "host");
    park(&mut world, run, &granted, vec![wait_for("a", "a")]).unwrap();
    assert_eq!(state(&world, "host"), TaskState::Ready);
    let granted = world.grant(run, "host");
    park(&mut world, run, &granted, vec![wait_for("a", "a")]).unwrap();
    assert_eq!(state(&world, "host"), TaskState::Ready);
}

#[test]
fn sleeps_waits_and_reviews_have_the_results_that_the_contract_names() {
    let (mut world, run) = begin();
    let granted = world.grant(run, "host");
    let show = world.payload(run, &json!("letter"));
    let ask = OperationRequest::Review {
        title: "Send?".to_owned(),
        show,
        edit: false,
        expires: None,
    };
    park(
        &mut world,
        run,
        &granted,
        vec![
            operation(
                "nap",
                OperationRequest::Sleep {
                    span: Millis(1_000),
                },
            ),
            wait_for("sig", "never"),
            operation("ask", ask),
        ],
    )
    .unwrap();
    world.fire_next();
    world.fire_next();
    world
        .review(run, "host/ask", Approve::Yes { edited: None })
        .unwrap();
    assert_eq!(
        results(&world, run),
        [
            (
                "ask".to_owned(),
                Ok(json!({ "approved": true, "value": "letter", "comment": "seen" }))
            ),
            ("nap".to_owned(), Ok(json!(null))),
            ("sig".to_owned(), Ok(json!(null))),
        ]
    );
}

#[test]
fn recorded_operations_are_given_back_and_a_changed_input_is_refused() {
    let (mut world, run) = begin();
    let (lease, _) = world.grant(run, "host");
    let append = |world: &mut World, digest: u8| {
        let output = world.payload(run, &json!("made"));
        let operations = vec![("step-1".to_owned(), [digest; 32], output)];
        let append = AppendJournal {
            step: StepKey::first("host"),
            lease,
            operations,
        };
        world.send_as(
            run,
            Actor::Worker(worker()),
            CommandKind::AppendJournal(append),
        )
    };
    append(&mut world, 1).unwrap();
    assert_eq!(
        results(&world, run),
        [("step-1".to_owned(), Ok(json!("made")))]
    );
    assert!(matches!(append(&mut world, 1), Err(Rejection::Stale(_))));
    assert!(matches!(
        append(&mut world, 2),
        Err(Rejection::JournalConflict { .. })
    ));
    world.limits.journal_operations_max = 1;
    let output = world.payload(run, &json!(null));
    let operations = vec![("step-2".to_owned(), [1; 32], output)];
    let append = AppendJournal {
        step: StepKey::first("host"),
        lease,
        operations,
    };
    let refused = world.send_as(
        run,
        Actor::Worker(worker()),
        CommandKind::AppendJournal(append),
    );
    assert_eq!(
        refused,
        Err(Rejection::LimitExceeded {
            limit: "journal_operations_max",
            max: 1,
            actual: 2
        })
    );
}

#[test]
fn a_journal_survives_a_failed_attempt_and_ends_with_its_step() {
    let (mut world, run) = begin();
    let granted = world.grant(run, "host");
    park(
        &mut world,
        run,
        &granted,
        vec![wait_for("a", "a"), wait_for("b", "b")],
    )
    .unwrap();
    world.signal(run, "a", json!(1)).unwrap();
    world.refuse(run, "host", FailureClass::Transient);
    assert_eq!(results(&world, run), [("a".to_owned(), Ok(json!(1)))]);
    world.refuse(run, "host", FailureClass::Fatal);
    assert_eq!(world.runs[&run].status, RunStatus::Failed);
    assert!(
        world.timers.is_empty(),
        "the other wait ended with its step"
    );
}

#[test]
fn cancelling_ends_a_parked_task_and_its_operations() {
    let (mut world, run) = begin();
    let granted = world.grant(run, "host");
    let show = world.payload(run, &json!(null));
    let ask = OperationRequest::Review {
        title: "?".to_owned(),
        show,
        edit: true,
        expires: None,
    };
    park(&mut world, run, &granted, vec![operation("ask", ask)]).unwrap();
    let _: ReviewId = *world.reviews.keys().next().unwrap();
    world.cancel(run).unwrap();
    assert_eq!(world.runs[&run].status, RunStatus::Cancelled);
    assert!(world.reviews.is_empty() && world.tasks.is_empty());
}

#[test]
fn an_operation_with_a_bad_name_is_refused_and_an_expired_review_is_a_failure() {
    let (mut world, run) = begin();
    let granted = world.grant(run, "host");
    let refused = park(&mut world, run, &granted, vec![wait_for("a/b", "x")]);
    assert!(matches!(refused, Err(Rejection::JournalConflict { .. })));
    let show = world.payload(run, &json!(null));
    let expires = Some(Millis(1));
    let ask = OperationRequest::Review {
        title: "?".to_owned(),
        show,
        edit: true,
        expires,
    };
    park(&mut world, run, &granted, vec![operation("ask", ask)]).unwrap();
    world.fire_next();
    assert_eq!(
        results(&world, run),
        [("ask".to_owned(), Err(code::REVIEW_EXPIRED.to_owned()))]
    );
}
