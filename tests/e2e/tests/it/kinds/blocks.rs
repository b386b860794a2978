//! `parallel` with `needs`, `try` with `catch` and `finally`, `on_failure`.

use fulcrum_proto::workflow::v1::StepStatus;
use serde_json::{Value, json};

use super::Place;
use crate::story;

#[tokio::test]
async fn members_run_side_by_side_and_one_waits_for_what_it_needs() -> anyhow::Result<()> {
    let place = Place::with(&["diamond"]).await?;
    let (api, stage) = (&place.stack.api, &place.stage);

    let run = api.start("diamond", &Value::Null).await?;
    // Both are held at once, so they run side by side.
    stage.reached("left").await;
    stage.reached("right").await;
    stage.open("left");
    stage.open("right");
    let expected = json!({ "left": "left", "right": "right", "join": "left+right" });
    assert_eq!(api.output(&run).await, expected);

    let told = story::told(api, &run).await?;
    for needed in ["left", "right"] {
        let completed = format!("StepCompleted all/{needed}");
        story::assert_told(
            &told,
            &[&completed, "StepOpened all/join", "StepCompleted all"],
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_member_that_fails_stops_the_others() -> anyhow::Result<()> {
    let place = Place::with(&["diamond-breaks"]).await?;
    let (api, stage) = (&place.stack.api, &place.stage);

    let run = api.start("diamond-breaks", &Value::Null).await?;
    stage.reached("never").await;
    stage.open("first");
    let closed = api.closed(&run).await;
    assert_eq!(story::failed(&closed).code, "BROKEN");
    assert_eq!(
        story::step(&closed, "all/held").status(),
        StepStatus::Cancelled
    );
    stage
        .until("the held call was stopped", |scene| {
            scene.left.contains("never")
        })
        .await;
    Ok(())
}

#[tokio::test]
async fn a_failure_is_caught_or_absorbed_and_clean_up_happens_in_any_case() -> anyhow::Result<()> {
    let place = Place::with(&["guarded", "returns-early", "absorbed"]).await?;
    let (api, stage) = (&place.stack.api, &place.stage);

    let run = api.start("guarded", &json!({ "failures": 0 })).await?;
    assert_eq!(api.output(&run).await, json!(1), "nothing was to be caught");
    assert_eq!(stage.count(&format!("cleaned {run}")), 1);

    let run = api.start("guarded", &json!({ "failures": 99 })).await?;
    assert_eq!(api.output(&run).await, json!("tried BROKEN fatal"));
    assert_eq!(stage.count(&format!("cleaned {run}")), 1);
    let steps = ["guarded/tried", "guarded/told", "guarded/cleaned"]
        .map(|step| format!("StepOpened {step}"));
    let steps = steps.each_ref().map(String::as_str);
    story::assert_told(&story::told(api, &run).await?, &steps);

    let run = api
        .start("guarded", &json!({ "failures": 99, "worse": true }))
        .await?;
    let failure = story::failed(&api.closed(&run).await);
    assert_eq!(
        (&*failure.code, &*failure.message),
        ("WORSE", "after BROKEN")
    );
    assert_eq!(stage.count(&format!("cleaned {run}")), 1);

    let run = api.start("returns-early", &Value::Null).await?;
    assert_eq!(api.output(&run).await, json!("early"));
    assert_eq!(stage.count(&format!("cleaned {run}")), 1);
    assert_eq!(stage.count(&format!("never {run}")), 0);

    let run = api.start("absorbed", &Value::Null).await?;
    assert_eq!(
        api.output(&run).await,
        json!({ "tried": null, "after": "went on" })
    );
    let closed = api.run(&run).await?;
    let failure = story::step(&closed, "tried").failure.as_ref();
    assert_eq!(failure.map(|failure| &*failure.code), Some("BROKEN"));
    Ok(())
}
