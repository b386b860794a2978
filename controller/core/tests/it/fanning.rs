//! Fan-outs and child runs.

use fulcrum_core::definition::model::{OnItemFailure, Retry, StepKind};
use fulcrum_core::event::StepKey;
use fulcrum_core::failure::{FailureClass, code};
use fulcrum_core::ids::RunId;
use fulcrum_core::store::RunStatus;
use fulcrum_core::time::Millis;
use serde_json::json;

use crate::build::*;
use crate::world::World;

fn item(run: RunId, index: u32) -> RunId {
    RunId::child(run, &StepKey::first("each").to_string(), index)
}

fn fan_out(max_parallel: u32, on_item_failure: OnItemFailure) -> World {
    let body = vec![call_with(
        "work",
        expr("[item, index, steps.base.output, vars.extra, input.list.size()]"),
    )];
    let mut each = foreach("each", "input.list", max_parallel, body);
    if let StepKind::Foreach(foreach) = &mut each.kind {
        foreach.on_item_failure = on_item_failure;
    }
    let mut definition = workflow(vec![
        call("base"),
        set("s", "extra", literal(json!("x"))),
        each,
    ]);
    definition.output = Some(expr("steps.each.output"));
    World::new(definition)
}

fn begin(world: &mut World, items: u32) -> RunId {
    let list: Vec<u32> = (0..items).map(|n| n * 10).collect();
    let run = world.start(json!({ "list": list })).unwrap();
    world.answer(run, "base", json!("b"));
    world.deliver();
    run
}

#[test]
fn items_are_child_runs_and_their_outputs_come_back_in_order() {
    let mut world = fan_out(0, OnItemFailure::Fail);
    let run = begin(&mut world, 3);
    assert_eq!(world.tasks.len(), 3);
    for index in [2, 0, 1] {
        assert_eq!(
            world.task_input(item(run, index), "each/work"),
            json!([index * 10, index, "b", "x", 3])
        );
        world.answer(
            item(run, index),
            "each/work",
            json!(format!("done {index}")),
        );
        world.deliver();
    }
    assert_eq!(
        world.value(world.runs[&run].output),
        json!(["done 0", "done 1", "done 2"])
    );
    assert!(world.mail.is_empty());
}

#[test]
fn an_empty_list_completes_at_once_and_something_else_fails() {
    let mut world = fan_out(0, OnItemFailure::Fail);
    let run = begin(&mut world, 0);
    assert_eq!(world.value(world.runs[&run].output), json!([]));
    let run = world.start(json!({ "list": { "not": "a list" } })).unwrap();
    world.answer(run, "base", json!(null));
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::EXPRESSION_FAILED
    );
    world.limits.foreach_items_max = 2;
    let run = begin(&mut world, 3);
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::LIMIT_EXCEEDED
    );
}

#[test]
fn no_more_than_max_parallel_run_at_once_and_all_run_in_the_end() {
    for max_parallel in [1, 2, 3, 5, 7] {
        let mut world = fan_out(max_parallel, OnItemFailure::Fail);
        world.limits.spawn_batch_max = 3;
        let run = begin(&mut world, 7);
        let mut answered = 0;
        while let Some(task) = world.tasks.values().next() {
            assert!(world.tasks.len() <= max_parallel as usize);
            let of = task.new.run;
            world.answer(of, "each/work", json!(answered));
            answered += 1;
            world.deliver();
        }
        assert_eq!(
            (answered, world.runs[&run].status),
            (7, RunStatus::Completed)
        );
    }
}

#[test]
fn a_failed_item_ends_the_others_and_fails_the_step_once() {
    let mut world = fan_out(4, OnItemFailure::Fail);
    world.limits.spawn_batch_max = 2;
    let run = begin(&mut world, 10);
    world.refuse(item(run, 1), "each/work", FailureClass::Fatal);
    world.refuse(item(run, 2), "each/work", FailureClass::Fatal);
    world.deliver();
    let failure = world.runs[&run].failure.clone().unwrap();
    assert_eq!(failure.code, code::CHILD_FAILED);
    assert_eq!(failure.message, "item 1 failed with BROKEN: it broke");
    assert!(world.tasks.is_empty() && world.mail.is_empty());
    assert_eq!(world.runs[&item(run, 0)].status, RunStatus::Cancelled);
    assert!(world.runs.values().all(|run| run.is_closed()));
}

#[test]
fn a_failed_item_can_be_passed_over() {
    let mut world = fan_out(0, OnItemFailure::Continue);
    let run = begin(&mut world, 2);
    world.refuse(item(run, 0), "each/work", FailureClass::Fatal);
    world.answer(item(run, 1), "each/work", json!(1));
    world.deliver();
    assert_eq!(world.value(world.runs[&run].output), json!([null, 1]));
}

#[test]
fn cancelling_the_parent_cancels_its_children_whatever_overtakes_what() {
    let mut world = fan_out(0, OnItemFailure::Fail);
    let run = world.start(json!({ "list": [1, 2] })).unwrap();
    world.answer(run, "base", json!(null));
    world.cancel(run).unwrap();
    assert_eq!(world.runs[&run].status, RunStatus::Cancelled);
    assert_eq!(
        world.mail.len(),
        4,
        "two starts and two cancellations are on their way"
    );
    world.deliver();
    assert!(world.mail.is_empty() && world.tasks.is_empty());
    assert!(
        world
            .runs
            .values()
            .all(|run| run.status == RunStatus::Cancelled)
    );
}

#[test]
fn outputs_that_are_too_large_together_fail_the_step_if_they_are_read_and_are_null_if_not() {
    let mut world = fan_out(0, OnItemFailure::Fail);
    world.limits.join_result_bytes_max = 10;
    let run = begin(&mut world, 2);
    world.answer(item(run, 0), "each/work", json!("123456"));
    world.answer(item(run, 1), "each/work", json!("123456"));
    world.deliver();
    let failure = world.runs[&run].failure.clone().unwrap();
    assert_eq!(failure.code, code::LIMIT_EXCEEDED);
    assert!(
        failure.message.contains("join_result_bytes_max"),
        "{}",
        failure.message
    );

    let each = foreach("each", "[1, 2]", 0, vec![call("work")]);
    let mut world = World::new(workflow(vec![each]));
    world.limits.join_result_bytes_max = 10;
    let run = world.start(json!(null)).unwrap();
    world.deliver();
    world.answer(item(run, 0), "each/work", json!("123456"));
    world.answer(item(run, 1), "each/work", json!("123456"));
    world.deliver();
    assert_eq!(world.runs[&run].status, RunStatus::Completed);
    assert_eq!(world.output(run, "each"), json!(null));
}

fn retried_child(max_attempts: u32) -> World {
    let mut work = call_with("work", expr("input"));
    work.retry = Some(Retry {
        max_attempts: 1,
        ..Retry::default()
    });
    let mut inner = workflow(vec![work]);
    inner.workflow = "inner".to_owned();
    inner.output = Some(expr("steps.work.output"));
    let mut sub = child("sub", "inner", expr("input"));
    sub.retry = Some(Retry {
        max_attempts,
        ..Retry::default()
    });
    let mut outer = workflow(vec![sub]);
    outer.output = Some(expr("[steps.sub.output, steps.sub.status]"));
    let mut world = World::new(outer);
    world.apply(inner);
    world
}

fn sub(run: RunId, attempt: u32) -> RunId {
    RunId::child(run, &StepKey::first("sub").to_string(), attempt - 1)
}

#[test]
fn a_failed_child_run_is_followed_by_another_one_if_its_failure_may_go_away() {
    let mut world = retried_child(2);
    let run = world.start(json!(7)).unwrap();
    world.deliver();
    world.refuse(sub(run, 1), "work", FailureClass::Transient);
    world.deliver();
    let step = world.runs[&run].step(&StepKey::first("sub")).unwrap();
    assert!(step.is_open() && step.retry_at.is_some());
    world.fire_next();
    world.deliver();
    assert_eq!(world.task_input(sub(run, 2), "work"), json!(7));
    world.answer(sub(run, 2), "work", json!(8));
    world.deliver();
    let output = world.runs[&run].output;
    assert_eq!(world.value(output), json!([8, "completed"]));
}

#[test]
fn a_child_run_is_not_repeated_beyond_its_attempts_nor_after_a_failure_that_stays() {
    let mut world = retried_child(2);
    let run = world.start(json!(7)).unwrap();
    world.deliver();
    for attempt in [1, 2] {
        world.refuse(sub(run, attempt), "work", FailureClass::Transient);
        world.deliver();
        if attempt == 1 {
            world.fire_next();
            world.deliver();
        }
    }
    let failure = world.runs[&run].failure.clone().unwrap();
    assert_eq!(failure.code, code::CHILD_FAILED);

    let run = world.start(json!(7)).unwrap();
    world.deliver();
    world.refuse(sub(run, 1), "work", FailureClass::Fatal);
    world.deliver();
    assert_eq!(world.runs[&run].status, RunStatus::Failed);
    assert!(!world.runs.contains_key(&sub(run, 2)));
}

#[test]
fn cancelling_between_two_attempts_of_a_child_run_ends_the_step_and_its_timer() {
    let mut world = retried_child(3);
    let run = world.start(json!(7)).unwrap();
    world.deliver();
    world.refuse(sub(run, 1), "work", FailureClass::Transient);
    world.deliver();
    world.cancel(run).unwrap();
    world.deliver();
    assert_eq!(world.runs[&run].status, RunStatus::Cancelled);
    assert!(world.timers.is_empty());
}

#[test]
fn a_child_workflow_gives_its_output_or_its_failure() {
    let mut inner = workflow(vec![call_with("work", expr("input"))]);
    inner.workflow = "inner".to_owned();
    inner.input = Some(json!({ "type": "integer" }));
    inner.output = Some(expr("steps.work.output"));
    let mut outer = workflow(vec![child("sub", "inner", expr("input"))]);
    outer.output = Some(expr("steps.sub.output"));
    let mut world = World::new(outer);
    world.apply(inner);
    let sub = |run| RunId::child(run, &StepKey::first("sub").to_string(), 0);

    let run = world.start(json!(5)).unwrap();
    world.deliver();
    assert_eq!(world.task_input(sub(run), "work"), json!(5));
    world.answer(sub(run), "work", json!(6));
    world.deliver();
    assert_eq!(world.value(world.runs[&run].output), json!(6));

    let run = world.start(json!("not a number")).unwrap();
    world.deliver();
    let failure = world.runs[&run].failure.clone().unwrap();
    assert_eq!(failure.code, code::CHILD_FAILED);
    assert!(
        failure.message.contains(code::INPUT_SCHEMA_MISMATCH),
        "{}",
        failure.message
    );
}

#[test]
fn runs_that_nest_without_end_stop_at_the_limit_and_an_unknown_workflow_fails() {
    let mut world = World::new(workflow(vec![child("sub", "test", literal(json!(null)))]));
    world.limits.run_depth_max = 4;
    let run = world.start(json!(null)).unwrap();
    world.deliver();
    assert_eq!(world.runs.len(), 5);
    assert!(
        world.runs[&run]
            .failure
            .as_ref()
            .unwrap()
            .message
            .contains("run_depth_max")
    );
    let mut world = World::new(workflow(vec![child(
        "sub",
        "nowhere",
        literal(json!(null)),
    )]));
    let run = world.start(json!(null)).unwrap();
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::UNKNOWN_WORKFLOW
    );
}

#[test]
fn a_fan_out_that_takes_too_long_ends_its_items() {
    let each = foreach("each", "[1, 2, 3]", 0, vec![call("work")]).within(Millis::from_secs(3));
    let mut world = World::new(workflow(vec![each]));
    let run = world.start(json!(null)).unwrap();
    world.deliver();
    world.fire_next();
    world.deliver();
    assert_eq!(
        world.runs[&run].failure.as_ref().unwrap().code,
        code::TOTAL_TIMEOUT
    );
    assert!(world.tasks.is_empty());
}

#[test]
fn fan_outs_nest_and_inner_items_see_what_is_around_them() {
    let inner = foreach(
        "inner",
        "item",
        0,
        vec![call_with(
            "work",
            expr("[item, steps.name.output, steps.top.output]"),
        )],
    );
    let each = foreach(
        "each",
        "[[1], [2, 3]]",
        0,
        vec![call_with("name", expr("index")), inner],
    );
    let mut definition = workflow(vec![call("top"), each]);
    definition.output = Some(expr("steps.each.output"));
    let mut world = World::new(definition);
    let run = world.start(json!(null)).unwrap();
    world.answer(run, "top", json!("t"));
    world.deliver();
    while let Some(task) = world.tasks.values().next() {
        let (of, path) = (task.new.run, task.new.step.path.clone());
        let input = world.task_input(of, &path);
        world.answer(of, &path, input);
        world.deliver();
    }
    assert_eq!(
        world.value(world.runs[&run].output),
        json!([[[1, 0, "t"]], [[2, 1, "t"], [3, 1, "t"]]])
    );
}
