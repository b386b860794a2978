//! Cancellation: of everything that can be under way, with children, and with the clean-up that is owed.

use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1::{RunStatus, StepStatus};
use serde_json::Value;

use super::Place;
use crate::story;

#[tokio::test]
async fn everything_under_way_ends_children_too_and_clean_up_happens() -> anyhow::Result<()> {
    let place = Place::with(&["sleeper"]).await?;
    place.serve_no_more("test.unserved").await?;
    let (api, stage) = (&place.stack.api, &place.stage);
    story::apply(api, &["cancelled"]).await?;

    let run = api.start("cancelled", &Value::Null).await?;
    stage.reached(&run).await;
    story::asked(api, &run).await;
    let children = story::children(api, &run, 3).await;
    for child in &children {
        let nap = if child.workflow == "sleeper" {
            "guarded/nap"
        } else {
            "guarded/all/each/nap"
        };
        story::waiting(api, &child.run_id, nap).await;
    }

    api.cancel(&run).await?;
    stage
        .until("the call is stopped", |scene| scene.left.contains(&run))
        .await;
    // Clean-up is not cut short, and a second cancellation changes nothing.
    let cleaning = format!("clean {run}");
    stage.reached(&cleaning).await;
    assert_eq!(api.run(&run).await?.status(), RunStatus::Cancelling);
    api.cancel(&run).await?;
    stage.open(&cleaning);

    let closed = api.closed(&run).await;
    assert_eq!(closed.status(), RunStatus::Cancelled, "{closed:#?}");
    assert_eq!(stage.count(&format!("cleaned {run}")), 1);
    assert_eq!(
        stage.count(&format!("caught {run}")),
        0,
        "a cancellation is not caught"
    );
    for member in [
        "asleep", "waiting", "asked", "held", "unserved", "each", "child",
    ] {
        let status = story::step(&closed, &format!("guarded/all/{member}")).status();
        assert_eq!(status, StepStatus::Cancelled, "{member}");
    }
    for child in &children {
        let closed = api.closed(&child.run_id).await;
        assert_eq!(closed.status(), RunStatus::Cancelled, "{closed:#?}");
    }
    assert_eq!(stage.count(&format!("child of {run} cleaned")), 1);
    assert!(
        api.open_reviews().await?.is_empty(),
        "the question is withdrawn"
    );
    let told = story::told(api, &run).await?;
    story::assert_told(
        &told,
        &[
            "RunCancelRequested",
            "StepOpened guarded/cleaned",
            "RunCancelled",
        ],
    );
    story::assert_refused(api.cancel(&run).await, ErrorReason::RunClosed);
    Ok(())
}
