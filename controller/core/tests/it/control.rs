//! Order, branches, values and the ways a run ends.

use fulcrum_core::decide::Rejection;
use fulcrum_core::decide::command::ReportOutcome;
use fulcrum_core::definition::model::Template;
use fulcrum_core::event::StepKey;
use fulcrum_core::failure::code;
use fulcrum_core::run::StepStatus;
use fulcrum_core::store::RunStatus;
use serde_json::json;

use crate::build::*;
use crate::world::World;

#[test]
fn steps_run_in_order_and_hand_values_on() {
    let mut definition = workflow(vec![
        call_with("contact", expr("{'email': input.email}")),
        set(
            "greet",
            "greeting",
            expr("'Hello ' + steps.contact.output.name"),
        ),
        step(
            "known",
            fulcrum_core::definition::model::StepKind::Checkpoint {
                name: "contact-known".to_owned(),
            },
        ),
        call_with(
            "mail",
            Template::Object([("text".to_owned(), expr("vars.greeting"))].into()),
        ),
    ]);
    definition.output = Some(expr("steps.mail.output"));
    let mut world = World::new(definition);
    let run = world.start(json!({ "email": "a@b.c" })).unwrap();
    assert_eq!(
        world.task_input(run, "contact"),
        json!({ "email": "a@b.c" })
    );
    world.answer(run, "contact", json!({ "name": "Ada" }));
    assert_eq!(
        world.task_input(run, "mail"),
        json!({ "text": "Hello Ada" })
    );
    world.answer(run, "mail", json!("sent"));
    assert_eq!(world.runs[&run].status, RunStatus::Completed);
    assert_eq!(world.value(world.runs[&run].output), json!("sent"));
    assert_eq!(
        world.story(run),
        [
            "RunStarted",
            "StepOpened contact",
            "StepCompleted contact",
            "VariableSet",
            "StepCompleted greet",
            "CheckpointReached known",
            "StepCompleted known",
            "StepOpened mail",
            "StepCompleted mail",
            "RunCompleted",
        ]
    );
    let causes: Vec<Option<u64>> = world.timelines[&run]
        .iter()
        .map(|envelope| envelope.cause)
        .collect();
    assert_eq!(
        causes,
        [
            None,
            Some(1),
            Some(2),
            Some(3),
            Some(3),
            Some(5),
            Some(5),
            Some(7),
            Some(8),
            Some(9)
        ]
    );
}

#[test]
fn a_false_condition_skips_and_a_skipped_review_passes_on_what_it_would_have_shown() {
    let steps = vec![
        call("draft"),
        review("approve", expr("steps.draft.output")).when("input.plan == 'enterprise'"),
        call("never").when("false"),
        call_with("send", expr("[steps.approve.output, steps.never.output]")),
    ];
    let mut world = World::new(workflow(steps));
    let run = world.start(json!({ "plan": "free" })).unwrap();
    world.answer(run, "draft", json!("text"));
    assert_eq!(world.task_input(run, "send"), json!(["text", null]));
}

#[test]
fn members_run_side_by_side_in_the_order_of_their_needs() {
    let mut definition = workflow(vec![parallel(
        "setup",
        vec![
            call("invoice"),
            call("draft"),
            call_with("pack", expr("steps.invoice.output")).needs(&["invoice"]),
        ],
    )]);
    definition.output = Some(expr("steps.setup.output"));
    let mut world = World::new(definition);
    let run = world.start(json!(null)).unwrap();
    assert_eq!(world.tasks.len(), 2);
    world.answer(run, "setup/invoice", json!(1));
    assert_eq!(world.task_input(run, "setup/pack"), json!(1));
    world.answer(run, "setup/pack", json!(3));
    world.answer(run, "setup/draft", json!(2));
    assert_eq!(
        world.value(world.runs[&run].output),
        json!({ "invoice": 1, "draft": 2, "pack": 3 })
    );
}

#[test]
fn a_failed_member_cancels_the_others_and_fails_the_block() {
    let mut world = World::new(workflow(vec![parallel(
        "all",
        vec![
            call("bad"),
            call("other"),
            attempt("careful", vec![call("work")], vec![], vec![call("clean")]),
        ],
    )]));
    let run = world.start(json!(null)).unwrap();
    world.refuse(run, "all/bad", fulcrum_core::failure::FailureClass::Fatal);
    assert_eq!(
        world.runs[&run].status,
        RunStatus::Running,
        "clean-up is under way"
    );
    assert_eq!(world.tasks.len(), 1);
    world.answer(run, "all/careful/clean", json!(null));
    assert_eq!(world.runs[&run].status, RunStatus::Failed);
    assert_eq!(world.runs[&run].failure.as_ref().unwrap().code, "BROKEN");
    let status = |path: &str| world.runs[&run].step(&StepKey::first(path)).unwrap().status;
    assert_eq!(status("all/other"), StepStatus::Cancelled);
    assert_eq!(status("all/careful"), StepStatus::Cancelled);
    assert_eq!(status("all"), StepStatus::Failed);
}

#[test]
fn a_switch_takes_the_first_case_that_holds() {
    let cases = || {
        vec![
            ("input > 10", vec![call("big")]),
            ("input > 5", vec![call("middle")]),
        ]
    };
    for (input, path) in [(20, "pick/big"), (7, "pick/middle"), (1, "pick/small")] {
        let mut definition = workflow(vec![switch("pick", cases(), vec![call("small")])]);
        definition.output = Some(expr("steps.pick.output"));
        let mut world = World::new(definition);
        let run = world.start(json!(input)).unwrap();
        world.answer(run, path, json!(path));
        assert_eq!(world.value(world.runs[&run].output), json!(path));
    }
}

#[test]
fn a_switch_without_a_matching_case_gives_null() {
    let mut world = World::new(workflow(vec![switch(
        "pick",
        vec![("false", vec![call("a")])],
        vec![],
    )]));
    let run = world.start(json!(null)).unwrap();
    assert_eq!(world.runs[&run].status, RunStatus::Completed);
    assert_eq!(world.output(run, "pick"), json!(null));
}

#[test]
fn a_return_ends_the_run_from_deep_inside_and_finally_still_runs() {
    let inner = switch(
        "pick",
        vec![(
            "true",
            vec![give_back("early", literal(json!(42))), call("unreached")],
        )],
        vec![],
    );
    let steps = vec![
        parallel(
            "side",
            vec![
                attempt("careful", vec![inner], vec![], vec![call("clean")]),
                call("long"),
            ],
        ),
        call("after"),
    ];
    let mut world = World::new(workflow(steps));
    let run = world.start(json!(null)).unwrap();
    assert_eq!(world.tasks.len(), 1, "only the clean-up is left");
    world.answer(run, "side/careful/clean", json!(null));
    assert_eq!(world.runs[&run].status, RunStatus::Completed);
    assert_eq!(world.value(world.runs[&run].output), json!(42));
}

#[test]
fn cancelling_runs_finally_and_then_absorbs() {
    let steps = vec![
        attempt(
            "careful",
            vec![call("work"), call("more")],
            vec![call("mend")],
            vec![call("clean")],
        ),
        call("after"),
    ];
    let mut world = World::new(workflow(steps));
    let run = world.start(json!(null)).unwrap();
    world.cancel(run).unwrap();
    assert_eq!(world.runs[&run].status, RunStatus::Cancelling);
    assert!(matches!(world.cancel(run), Err(Rejection::Stale(_))));
    world.answer(run, "careful/clean", json!(null));
    assert_eq!(world.runs[&run].status, RunStatus::Cancelled);
    assert_eq!(world.cancel(run), Err(Rejection::RunClosed(run)));
    assert!(world.tasks.is_empty() && world.timers.is_empty());
}

#[test]
fn an_input_that_does_not_fit_is_refused_and_nothing_exists() {
    let mut definition = workflow(vec![call("a")]);
    definition.input = Some(json!({ "type": "object", "required": ["email"] }));
    let mut world = World::new(definition);
    let refused = world.start(json!({ "mail": "x" })).unwrap_err();
    assert!(
        matches!(&refused, Rejection::InvalidInput(problem) if problem.contains("email")),
        "{refused}"
    );
    assert!(world.runs.is_empty());
    let run = world.start(json!({ "email": "x" })).unwrap();
    let again = world.start_as(run, "test", json!({ "email": "x" }));
    assert_eq!(again, Err(Rejection::AlreadyStarted(run)));
}

#[test]
fn an_expression_that_cannot_be_evaluated_fails_its_step() {
    let mut world = World::new(workflow(vec![call_with("a", expr("input.missing.field"))]));
    let run = world.start(json!({})).unwrap();
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::EXPRESSION_FAILED
    );
}

#[test]
fn a_payload_over_the_limit_fails_its_step() {
    let mut world = World::new(workflow(vec![call("a").absorbing(), call("b")]));
    world.limits.payload_bytes_max = 100;
    let run = world.start(json!(null)).unwrap();
    let granted = world.grant(run, "a");
    let output = world.payload(run, &json!("x".repeat(200)));
    world
        .report(run, "a", &granted, ReportOutcome::Completed { output })
        .unwrap();
    let state = world.runs[&run].step(&StepKey::first("a")).unwrap().clone();
    assert_eq!(
        (state.status, state.failure.unwrap().code.as_str()),
        (StepStatus::Absorbed, code::LIMIT_EXCEEDED)
    );
    assert_eq!(world.tasks.len(), 1, "the next step began");
}

#[test]
fn what_an_open_step_waits_for_is_told() {
    let mut world = World::new(workflow(vec![parallel(
        "p",
        vec![call("a"), wait("w", "paid"), review("r", literal(json!(1)))],
    )]));
    let run = world.start(json!(null)).unwrap();
    let told = |path: &str| world.runs[&run].waiting_for(&StepKey::first(path)).unwrap();
    assert_eq!(told("p"), "steps inside it: a, r, w");
    assert_eq!(told("p/a"), "a worker with `do.a` to take or report it");
    assert_eq!(told("p/w"), "signal `paid`");
    assert!(told("p/r").starts_with("a decision on rev_"));
}
