//! `retry`: how often, how long after, and what is never tried again.

use std::time::{Duration, SystemTime};

use serde_json::json;

use super::Place;
use crate::story;

#[tokio::test]
async fn a_call_is_tried_again_until_it_works_or_there_is_no_use() -> anyhow::Result<()> {
    let place = Place::with(&["retries"]).await?;
    let api = &place.stack.api;

    let run = api.start("retries", &json!({ "failures": 2 })).await?;
    assert_eq!(api.output(&run).await, json!(3), "the third attempt worked");
    let failed = "AttemptFailed tried";
    let told = story::told(api, &run).await?;
    story::assert_told(
        &told,
        &["StepOpened tried", failed, failed, "StepCompleted tried"],
    );

    let attempts = async |input| {
        let run = api.start("retries", &input).await?;
        let closed = api.closed(&run).await;
        anyhow::Ok((
            story::failed(&closed).code,
            story::step(&closed, "tried").attempt,
        ))
    };
    assert_eq!(
        attempts(json!({ "failures": 9 })).await?,
        ("BUSY".to_owned(), 3)
    );
    let code = json!({ "failures": 9, "code": "NO_USE" });
    assert_eq!(
        attempts(code).await?,
        ("NO_USE".to_owned(), 1),
        "non_retryable"
    );
    let fatal = json!({ "failures": 9, "class": "fatal" });
    assert_eq!(attempts(fatal).await?, ("BUSY".to_owned(), 1), "fatal");
    Ok(())
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_left_alone() -> anyhow::Result<()> {
    let place = Place::with(&["retries"]).await?;
    let api = &place.stack.api;

    let run = api
        .start("retries", &json!({ "failures": 1, "retry_after_ms": 1500 }))
        .await?;
    assert_eq!(api.output(&run).await, json!(2));
    let events = api.events(&run).await?;
    let at = |kind: &str| {
        let event = events.iter().find(|event| event.kind == kind).expect(kind);
        SystemTime::try_from(event.at.expect("an instant")).expect("a time")
    };
    let waited = at("StepCompleted").duration_since(at("AttemptFailed"))?;
    assert!(
        waited >= Duration::from_millis(1500),
        "the curve alone waits 50 ms: {waited:?}"
    );
    Ok(())
}
