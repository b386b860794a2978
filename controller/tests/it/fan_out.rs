//! What an item of a fan-out costs, in commits, reads and bytes: whatever there is of each per item, there must not be
//! more of it the more items there are.

use fulcrum_core::ids::RunId;
use fulcrum_core::store::RunStatus;
use serde_json::{Value, json};

use crate::counted::Counted;
use crate::engine::{NAMESPACE, World, world_on};

/// Every item reads the run's input, which holds all items.
fn source(limit: &str) -> String {
    format!(
        "workflow: fan
steps:
  - id: each
    foreach: \"${{input.items}}\"{limit}
    do:
      - {{ id: one, call: test.echo, with: {{ n: \"${{item}}\", text: \"${{input.text}}\" }} }}
    output: \"${{steps.one.output.n}}\"
output: \"${{steps.each.output}}\"
"
    )
}

/// Runs a fan-out to its end, with a worker of 64 slots.
async fn fan_out(items: u32, limit: &str) -> (World<Counted>, RunId) {
    let world = world_on(Counted::open(), &[&source(limit)]);
    let list: Vec<u32> = (0..items).collect();
    let input = json!({ "items": list, "text": "x" });
    let run = world
        .start("fan", input, None)
        .await
        .expect("started")
        .run();
    let mut served = 0;
    while served < items {
        let granted = world.lease("test.echo", 64).await;
        let done = granted.iter().map(async |delivery| {
            let input = delivery.input.value().expect("JSON");
            world.complete(delivery, input).await.expect("accepted");
        });
        served += u32::try_from(futures_util::future::join_all(done).await.len()).expect("few");
    }
    let expected: Value = json!(list);
    assert_eq!(world.closed(run).await, (RunStatus::Completed, expected));
    (world, run)
}

#[tokio::test]
async fn an_item_costs_the_same_however_many_there_are() {
    let items = 2_000;
    let (world, root) = fan_out(items, "").await;
    let counts = world.engine.store.counts();
    let again = counts.commits.values().filter(|commits| **commits > 2);
    assert!(
        again.count() <= 1,
        "a child starts and reports, and that is all"
    );
    assert!(
        counts.flushes.len() < 500,
        "{} flushes",
        counts.flushes.len()
    );
    assert!(counts.loads < 50, "{} loads", counts.loads);
    let most = counts.reads.values().max().copied().unwrap_or(0);
    assert!(most <= 3, "a payload was read {most} times");

    let (run, _) = world.engine.run(NAMESPACE, root).await.expect("the run");
    let commits = counts.commits[&root];
    assert!(commits < 40, "the parent took {commits} commits");
    assert!(run.last_seq < 60, "the parent has {} events", run.last_seq);
    let state = run.to_bytes().len();
    assert!(state < 2_000, "the parent's state takes {state} bytes");
    assert!(counts.snapshot_bytes < 8_000, "{}", counts.snapshot_bytes);
    world.end().await;
}

#[tokio::test]
async fn a_parent_hears_of_free_places_once_a_flush() {
    let items = 1_000;
    let (world, root) = fan_out(items, "\n    max_parallel: 64").await;
    let counts = world.engine.store.counts();
    let commits = counts.commits[&root];
    assert!(commits < 150, "the parent took {commits} commits");
    assert!(
        counts.snapshot_bytes < 40_000,
        "{} bytes of snapshots",
        counts.snapshot_bytes
    );
    world.end().await;
}
