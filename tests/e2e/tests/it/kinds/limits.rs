//! The three timeouts.

use serde_json::Value;

use super::Place;
use crate::story;

#[tokio::test]
async fn each_limit_of_time_has_its_code() -> anyhow::Result<()> {
    let place = Place::with(&["slow-call", "slow-step"]).await?;
    place.serve_no_more("test.unserved").await?;
    story::apply(&place.stack.api, &["unserved-call"]).await?;
    let (api, stage) = (&place.stack.api, &place.stage);

    let slow_call = api.start("slow-call", &Value::Null).await?;
    let unserved = api.start("unserved-call", &Value::Null).await?;
    let slow_step = api.start("slow-step", &Value::Null).await?;

    let closed = api.closed(&slow_call).await;
    assert_eq!(story::failed(&closed).code, "START_TO_CLOSE_TIMEOUT");
    assert_eq!(
        story::step(&closed, "slow").attempt,
        2,
        "it is an attempt like any other"
    );
    assert_eq!(
        story::failed(&api.closed(&unserved).await).code,
        "SCHEDULE_TO_START_TIMEOUT"
    );
    assert_eq!(
        story::failed(&api.closed(&slow_step).await).code,
        "TOTAL_TIMEOUT"
    );
    assert_eq!(stage.count(&format!("cleaned {slow_step}")), 1, "finally");
    let told = story::told(api, &slow_step).await?;
    story::assert_told(
        &told,
        &[
            "StepTimedOut guarded",
            "StepCompleted guarded/cleaned",
            "RunFailed",
        ],
    );
    Ok(())
}
