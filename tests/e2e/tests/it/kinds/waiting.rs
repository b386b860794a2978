//! `sleep`, `until`, `wait` and the signals it takes.

use std::time::{Duration, SystemTime};

use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1::{Run, RunStatus};
use serde_json::{Value, json};

use super::Place;
use crate::story;

/// From a step's opening to its close, by the database's clock.
fn took(run: &Run, path: &str) -> Duration {
    let step = story::step(run, path);
    let instant = |at: Option<_>| SystemTime::try_from(at.expect("an instant")).expect("a time");
    let (began, ended) = (instant(step.started_at), instant(step.finished_at));
    ended
        .duration_since(began)
        .expect("a step ends after it began")
}

#[tokio::test]
async fn sleeps_last_as_long_as_they_say_and_an_instant_that_passed_does_not_wait()
-> anyhow::Result<()> {
    let place = Place::with(&["naps"]).await?;
    let api = &place.stack.api;

    let run = api.start("naps", &Value::Null).await?;
    let closed = api.closed(&run).await;
    assert_eq!(closed.status(), RunStatus::Completed, "{closed:#?}");
    assert!(took(&closed, "nap") >= Duration::from_secs(1));
    assert!(took(&closed, "computed") >= Duration::from_millis(500));
    assert!(took(&closed, "past") < Duration::from_secs(1));
    let whole = took(&closed, "nap") + took(&closed, "computed") + took(&closed, "soon");
    assert!(
        whole >= Duration::from_secs(2),
        "until two seconds after the start: {whole:?}"
    );
    let steps = ["nap", "computed", "soon", "past"].map(|step| format!("StepCompleted {step}"));
    story::assert_told(
        &story::told(api, &run).await?,
        &steps.each_ref().map(String::as_str),
    );
    Ok(())
}

#[tokio::test]
async fn signals_are_kept_and_taken_once_oldest_first() -> anyhow::Result<()> {
    let place = Place::with(&["signals", "signal-in-time"]).await?;
    let api = &place.stack.api;

    let run = api.start("signals", &Value::Null).await?;
    story::waiting(api, &run, "first").await;
    api.signal(&run, "other", &json!("nobody waits for this"))
        .await?;
    api.signal(&run, "paid", &json!({ "amount": 1 })).await?;
    api.signal(&run, "paid", &json!({ "amount": 2 })).await?;
    let expected = json!({ "first": { "amount": 1 }, "second": { "amount": 2 }, "late": null });
    assert_eq!(api.output(&run).await, expected);
    story::assert_told(
        &story::told(api, &run).await?,
        &[
            "SignalReceived",
            "SignalConsumed first",
            "SignalConsumed second",
            "StepFailed late",
        ],
    );
    let refused = api.signal(&run, "paid", &Value::Null).await;
    story::assert_refused(refused, ErrorReason::RunClosed);

    let failure = story::failure(api, "signal-in-time", &Value::Null).await?;
    assert_eq!(failure.code, "WAIT_TIMEOUT");
    Ok(())
}
