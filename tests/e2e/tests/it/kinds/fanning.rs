//! `foreach` with its child runs, `run` with another workflow.

use fulcrum_proto::workflow::v1::{RunStatus, StepKind};
use serde_json::json;

use super::Place;
use crate::story;

#[tokio::test]
async fn items_run_so_many_at_a_time_and_come_back_in_order() -> anyhow::Result<()> {
    let place = Place::with(&["fan-out"]).await?;
    let (api, stage) = (&place.stack.api, &place.stage);

    let gates = ["a", "b", "c", "d", "e"];
    let run = api.start("fan-out", &json!({ "gates": gates })).await?;
    stage
        .until("two items are at work", |scene| scene.held == 2)
        .await;
    // The second before the first: the order is that of the items all the same.
    for gate in ["b", "a", "d", "c", "e"] {
        stage.reached(gate).await;
        stage.open(gate);
    }
    assert_eq!(
        api.output(&run).await,
        json!(["0a!", "1b!", "2c!", "3d!", "4e!"])
    );
    assert_eq!(stage.scene().held_max, 2, "max_parallel");
    story::assert_told(
        &story::told(api, &run).await?,
        &[
            "StepOpened each",
            "ItemsSpawned each",
            "JoinProgressed each",
            "StepCompleted each",
        ],
    );
    let runs = api.runs().await?;
    assert_eq!(runs.len(), 1, "items are not root runs: {runs:#?}");
    assert_eq!(
        story::output(api, "fan-out", &json!({ "gates": [] })).await?,
        json!([])
    );
    Ok(())
}

#[tokio::test]
async fn an_item_that_fails_is_passed_over_or_fails_the_step() -> anyhow::Result<()> {
    let place = Place::with(&["fan-out-tolerant", "fan-out-strict"]).await?;
    let api = &place.stack.api;

    let input = json!({ "failures": [0, 99, 0] });
    assert_eq!(
        story::output(api, "fan-out-tolerant", &input).await?,
        json!([1, null, 1])
    );
    let failure = story::failure(api, "fan-out-strict", &input).await?;
    assert_eq!(failure.code, "CHILD_FAILED");
    assert!(
        failure.message.contains("item 1 failed with BAD_ITEM"),
        "{failure:?}"
    );
    Ok(())
}

#[tokio::test]
async fn another_workflow_gives_its_output_or_its_failure() -> anyhow::Result<()> {
    let place = Place::with(&["inner", "outer"]).await?;
    let api = &place.stack.api;

    let run = api.start("outer", &json!({ "name": "Ada" })).await?;
    assert_eq!(api.output(&run).await, json!({ "child": "inner Ada" }));
    let parent = api.run(&run).await?;
    let child = story::step(&parent, "child");
    assert_eq!(child.kind(), StepKind::Run);
    let failure = story::failure(api, "outer", &json!({ "name": "Eve" })).await?;
    assert_eq!(failure.code, "CHILD_FAILED");
    assert!(failure.message.contains("UNWELCOME"), "{failure:?}");
    let [child] = &story::children(api, &run, 1).await[..] else {
        unreachable!("one was asked for")
    };
    assert_eq!(
        (&*child.workflow, child.status()),
        ("inner", RunStatus::Completed)
    );
    Ok(())
}
