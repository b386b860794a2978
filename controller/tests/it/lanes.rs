//! What a lane does while the database commits.

use std::sync::Arc;

use fulcrum_controller::config::LanesConfig;
use fulcrum_controller::engine::delivery::Delivery;
use fulcrum_controller::engine::handle::EngineError;
use fulcrum_controller::engine::start::EngineOptions;
use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::event::Actor;
use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::store::RunStatus;
use fulcrum_core::time::Timestamp;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::counted::Counted;
use crate::engine::{World, controller, options};

const ONE_STEP: &str = "workflow: one
steps:
  - { id: a, call: test.echo, with: { n: \"${input.n}\" } }
";

/// Two steps at once.
const PAIR: &str = "workflow: pair
steps:
  - id: both
    parallel:
      - { id: a, call: test.echo, with: { n: 1 } }
      - { id: b, call: test.echo, with: { n: 2 } }
output: [\"${steps.a.output.n}\", \"${steps.b.output.n}\"]
";

const ITEMS: &str = "workflow: items
steps:
  - id: each
    foreach: \"${[1, 2]}\"
    do:
      - { id: a, call: test.echo, with: { n: \"${item}\" } }
";

/// One lane on a store whose commits wait to be let through.
fn world(sources: &[&str]) -> (Arc<World<Counted>>, Arc<Counted>) {
    world_with(sources, options().lanes.flush_beside_runs_min)
}

/// Likewise; batches of so many runs go off while another is under way.
fn world_with(sources: &[&str], beside: u32) -> (Arc<World<Counted>>, Arc<Counted>) {
    let store = Counted::shut();
    let lanes = LanesConfig {
        count: 1,
        flush_beside_runs_min: beside,
        ..options().lanes
    };
    let options = EngineOptions { lanes, ..options() };
    let world = controller(Arc::clone(&store), sources, &options);
    (Arc::new(world), store)
}

/// Lets everything that can go on go on, on the one thread of the test.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// Completes each task with its own input, and lets everything go on before the next.
async fn complete_each(
    world: &Arc<World<Counted>>,
    tasks: Vec<Delivery>,
) -> Vec<JoinHandle<Result<(), EngineError>>> {
    let mut reports = Vec::new();
    for task in tasks {
        let world = Arc::clone(world);
        reports.push(tokio::spawn(async move {
            let input = task.input.value().expect("JSON");
            world.complete(&task, input).await
        }));
        settle().await;
    }
    reports
}

#[tokio::test]
async fn what_comes_while_a_batch_is_in_flight_is_decided_and_committed_together() {
    let (world, store) = world(&[ONE_STEP]);
    let start = |n: u32| {
        let world = Arc::clone(&world);
        tokio::spawn(async move { world.start("one", json!({"n": n}), None).await })
    };
    let first = start(0);
    settle().await;
    assert_eq!(store.counts().flushes, [1]);
    let others = [start(1), start(2), start(3)];
    settle().await;
    assert_eq!(store.counts().flushes, [1], "one flight at a time");
    assert!(
        !first.is_finished(),
        "nothing is answered before its commit"
    );
    store.let_through(1);
    settle().await;
    assert!(first.is_finished());
    assert_eq!(
        store.counts().flushes,
        [1, 3],
        "one commit of all that came"
    );
    assert!(others.iter().all(|other| !other.is_finished()));
    store.let_through(1);
    for other in others {
        other.await.expect("no panic").expect("started");
    }
}

#[tokio::test]
async fn two_batches_fly_beside_each_other_and_no_third() {
    let (world, store) = world_with(&[ONE_STEP], 1);
    let mut starts = Vec::new();
    for (n, flushes) in [(0, &[1][..]), (1, &[1, 1]), (2, &[1, 1]), (3, &[1, 1])] {
        let world = Arc::clone(&world);
        starts.push(tokio::spawn(async move {
            world.start("one", json!({"n": n}), None).await
        }));
        settle().await;
        assert_eq!(store.counts().flushes, flushes);
    }
    store.let_through(3);
    for start in starts {
        start.await.expect("no panic").expect("started");
    }
    assert_eq!(store.counts().flushes, [1, 1, 2]);
}

#[tokio::test]
async fn no_batch_flies_beside_one_of_its_family() {
    let (world, store) = world_with(&[ITEMS], 1);
    store.let_through(100);
    let run = world
        .start("items", json!({}), None)
        .await
        .expect("started");
    let mut tasks = Vec::new();
    while tasks.len() < 2 {
        tasks.extend(world.lease("test.echo", 2).await);
    }
    settle().await;
    store.hold();
    let before = store.counts().flushes.len();
    let reports = complete_each(&world, tasks).await;
    let flushes = store.counts().flushes.len();
    assert_eq!(flushes, before + 1, "both count on one join");
    store.let_through(100);
    for report in reports {
        report.await.expect("no panic").expect("accepted");
    }
    assert_eq!(world.closed(run.run()).await.0, RunStatus::Completed);
}

#[tokio::test]
async fn a_command_of_a_run_in_flight_waits_for_it_and_is_decided_on_what_it_left() {
    let (world, store) = world(&[PAIR]);
    store.let_through(1);
    let run = world.start("pair", json!({}), None).await.expect("started");
    let tasks = world.lease("test.echo", 2).await;
    assert_eq!(tasks.len(), 2);
    let reports = complete_each(&world, tasks).await;
    assert_eq!(store.counts().flushes, [1, 1], "the second report is held");
    store.let_through(1);
    settle().await;
    assert_eq!(store.counts().flushes, [1, 1, 1]);
    assert!(reports[0].is_finished() && !reports[1].is_finished());
    store.let_through(1);
    for report in reports {
        report.await.expect("no panic").expect("accepted");
    }
    let loads = store.counts().loads;
    assert_eq!(loads, 0, "what was in flight is remembered");
    let closed = world.closed(run.run()).await;
    assert_eq!(closed, (RunStatus::Completed, json!([1, 2])));
}

#[tokio::test]
async fn commands_that_fail_before_they_are_decided_leave_their_room_to_others() {
    let (world, store) = world(&[ONE_STEP]);
    store.cut(true);
    for n in 0..options().lanes.flush_commands_max * 2 {
        let run = RunId::new(Timestamp(1), Shard(0), u64::from(n));
        let command = Command {
            run,
            actor: Actor::System,
            trace: None,
            kind: CommandKind::Cancel {
                reason: String::new(),
            },
        };
        let answer = world.engine.router.submit(command, run, None).await;
        assert!(answer.is_err(), "nothing can be read");
    }
    store.cut(false);
    store.let_through(1);
    let started = world.start("one", json!({"n": 1}), None).await;
    assert!(started.is_ok(), "the lane goes on");
}
