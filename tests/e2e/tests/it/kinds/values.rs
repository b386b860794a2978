//! `call`, `set`, `when`, `switch`, `checkpoint`, `return`, `fail`.

use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1::{RunStatus, StepKind, StepStatus};
use serde_json::json;

use super::Place;
use crate::story;

#[tokio::test]
async fn values_are_computed_and_the_run_takes_its_branch() -> anyhow::Result<()> {
    let place = Place::with(&["values"]).await?;
    let api = &place.stack.api;

    let run = api.start("values", &json!({ "amount": 150 })).await?;
    let said = json!({ "label": "order of 150", "total": 301, "before": 300 });
    let expected = json!({ "said": said, "big": null, "route": "large" });
    assert_eq!(api.output(&run).await, expected);
    story::assert_told(
        &story::told(api, &run).await?,
        &[
            "RunStarted",
            "VariableSet",
            "StepOpened said",
            "StepCompleted said",
            "CheckpointReached said-it",
            "StepSkipped big",
            "StepOpened route",
            "StepOpened route/large",
            "StepCompleted route/large",
            "StepCompleted route",
            "RunCompleted",
        ],
    );
    let state = api.run(&run).await?;
    assert_eq!(story::output_of(&state, "said"), said);
    let skipped = story::step(&state, "big");
    assert_eq!(
        (skipped.status(), skipped.kind()),
        (StepStatus::Skipped, StepKind::Call)
    );
    assert_eq!(story::step(&state, "route").kind(), StepKind::Switch);

    let medium = story::output(api, "values", &json!({ "amount": 50 })).await?;
    assert_eq!(medium["route"], "medium");
    let dry = story::output(api, "values", &json!({ "amount": 50, "dry": true })).await?;
    assert_eq!(dry, json!({ "dry": "order of 50" }));
    let failure = story::failure(api, "values", &json!({ "amount": 1 })).await?;
    assert_eq!(
        (&*failure.code, &*failure.message),
        ("TOO_SMALL", "cannot serve 1")
    );

    let refused = api.start("values", &json!({ "amount": "much" })).await;
    let refusal = story::assert_refused(refused, ErrorReason::InputSchemaMismatch);
    assert!(refusal.message.contains("amount"), "{refusal}");
    Ok(())
}

#[tokio::test]
async fn the_real_executor_renders_text() -> anyhow::Result<()> {
    let place = Place::with(&[]).await?;
    let _executor = place.stack.executor("executor", 0, None).await?;
    let api = &place.stack.api;
    story::apply(api, &["rendered"]).await?;

    let run = api
        .start("rendered", &json!({ "name": "Ada & Co" }))
        .await?;
    assert_eq!(api.output(&run).await, json!("Dear Ada & Co"));
    let state = api.run(&run).await?;
    assert_eq!(state.status(), RunStatus::Completed);
    assert_eq!(story::step(&state, "text").capability, "text.render");
    Ok(())
}
