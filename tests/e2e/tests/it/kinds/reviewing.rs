//! `review`: approved, edited, rejected, expired, and decided once only.

use fulcrum_e2e::api::{Api, to_json};
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::review::v1::{Decision, Review, ReviewState};
use serde_json::{Value, json};

use super::Place;
use crate::story;

/// Starts a run and waits for its question.
async fn ask(api: &Api, workflow: &str, input: &Value) -> anyhow::Result<(String, Review)> {
    let run = api.start(workflow, input).await?;
    let asked = story::asked(api, &run).await;
    Ok((run, asked))
}

#[tokio::test]
async fn a_decision_approves_edits_or_rejects_and_the_first_one_stands() -> anyhow::Result<()> {
    let place = Place::with(&["question", "question-optional"]).await?;
    let api = &place.stack.api;
    let (open, closed) = (json!({ "edit": true }), json!({ "edit": false }));
    let edited = json!({ "text": "good evening" });

    let (run, asked) = ask(api, "question", &closed).await?;
    assert_eq!((&*asked.title, asked.editable), ("Send this?", false));
    assert_eq!(
        asked.show.as_ref().map(to_json),
        Some(json!({ "text": "hello" }))
    );
    let refused = api.decide(&asked, Decision::Approve, Some(&edited)).await;
    story::assert_refused(refused, ErrorReason::InvalidRequest);
    let mut changed = asked.clone();
    changed.digest = vec![7; 32].into();
    let refused = api.decide(&changed, Decision::Approve, None).await;
    story::assert_refused(refused, ErrorReason::ReviewChanged);
    let decided = api.decide(&asked, Decision::Approve, None).await?;
    assert_eq!(decided.state(), ReviewState::Approved);
    assert_eq!(
        api.output(&run).await,
        json!({ "text": "hello" }),
        "as it was shown"
    );
    let refused = api.decide(&asked, Decision::Reject, None).await;
    story::assert_refused(refused, ErrorReason::ReviewClosed);

    let (run, asked) = ask(api, "question", &open).await?;
    api.decide(&asked, Decision::Approve, Some(&edited)).await?;
    assert_eq!(api.output(&run).await, edited);
    let told = story::told(api, &run).await?;
    story::assert_told(
        &told,
        &[
            "StepOpened ask/open",
            "ReviewDecided ask/open",
            "RunCompleted",
        ],
    );

    let (run, asked) = ask(api, "question", &open).await?;
    let decided = api.decide(&asked, Decision::Reject, None).await?;
    assert_eq!(
        (decided.state(), &*decided.comment),
        (ReviewState::Rejected, "decided in a test")
    );
    assert_eq!(story::failed(&api.closed(&run).await).code, "REJECTED");

    let (run, asked) = ask(api, "question-optional", &Value::Null).await?;
    api.decide(&asked, Decision::Reject, None).await?;
    assert_eq!(api.output(&run).await, json!({ "answer": null }));
    Ok(())
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_as_it_was_told_to() -> anyhow::Result<()> {
    let place = Place::with(&["question-expires"]).await?;
    let api = &place.stack.api;
    let on_expiry = |what: &str| json!({ "on_expiry": what });

    let (run, asked) = ask(api, "question-expires", &on_expiry("fail")).await?;
    assert_eq!(
        story::failed(&api.closed(&run).await).code,
        "REVIEW_EXPIRED"
    );
    let late = api.decide(&asked, Decision::Approve, None).await;
    story::assert_refused(late, ErrorReason::ReviewClosed);
    let failure = story::failure(api, "question-expires", &on_expiry("reject")).await?;
    assert_eq!(failure.code, "REJECTED");
    let approved = story::output(api, "question-expires", &on_expiry("approve")).await?;
    assert_eq!(approved, json!(1));

    let (run, asked) = ask(api, "question-expires", &on_expiry("escalate")).await?;
    story::escalated(api, &run, "ask/escalate").await;
    api.decide(&asked, Decision::Approve, None).await?;
    assert_eq!(api.output(&run).await, json!(1), "it stays open");
    Ok(())
}
