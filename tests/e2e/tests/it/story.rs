//! What a run became, read from its answer and its timeline.

use std::path::Path;

use fulcrum_e2e::api::{Api, NAMESPACE, to_json};
use fulcrum_e2e::{process, timeline, wait};
use fulcrum_proto::common::v1::{ErrorReason, Failure};
use fulcrum_proto::review::v1::Review;
use fulcrum_proto::workflow::v1::{ListRunsRequest, Run, RunStatus, StepState, StepStatus};
use fulcrum_sdk::{Refusal, client};
use serde_json::Value;
use tonic::Status;

/// Applies fixtures of `tests/fixtures/workflows` in this order.
pub(crate) async fn apply(api: &Api, fixtures: &[&str]) -> anyhow::Result<()> {
    for fixture in fixtures {
        api.apply(&source(fixture)?).await?;
    }
    Ok(())
}

/// The text of a fixture.
pub(crate) fn source(fixture: &str) -> anyhow::Result<String> {
    let path = process::repository()
        .join("tests/fixtures/workflows")
        .join(fixture);
    Ok(std::fs::read_to_string(
        Path::new(&path).with_extension("yaml"),
    )?)
}

/// Starts a run and gives its output.
pub(crate) async fn output(api: &Api, workflow: &str, input: &Value) -> anyhow::Result<Value> {
    let run = api.start(workflow, input).await?;
    Ok(api.output(&run).await)
}

/// Starts a run and gives the failure it ends with.
pub(crate) async fn failure(api: &Api, workflow: &str, input: &Value) -> anyhow::Result<Failure> {
    let run = api.start(workflow, input).await?;
    Ok(failed(&api.closed(&run).await))
}

/// The failure of a failed run.
pub(crate) fn failed(run: &Run) -> Failure {
    assert_eq!(run.status(), RunStatus::Failed, "{run:#?}");
    run.failure.clone().expect("a failed run says why")
}

/// The step at this path.
pub(crate) fn step<'r>(run: &'r Run, path: &str) -> &'r StepState {
    let found = run
        .steps
        .iter()
        .find(|step| path_of(&step.step_key) == path);
    found.unwrap_or_else(|| panic!("no step {path} in {run:#?}"))
}

/// A step's output.
pub(crate) fn output_of(run: &Run, path: &str) -> Value {
    step(run, path).output.as_ref().map_or(Value::Null, to_json)
}

/// Waits until the step at this path waits.
pub(crate) async fn waiting(api: &Api, run_id: &str, path: &str) {
    wait::until(&format!("{path} waits"), || async {
        let run = api.run(run_id).await?;
        let step = run
            .steps
            .iter()
            .find(|step| path_of(&step.step_key) == path);
        let status = step.map(StepState::status);
        anyhow::ensure!(status == Some(StepStatus::Waiting), "{run:#?}");
        Ok(())
    })
    .await;
}

/// Waits until the run asks a person, and gives the question.
pub(crate) async fn asked(api: &Api, run_id: &str) -> Review {
    wait::until(&format!("{run_id} asks"), || async {
        let open = api.open_reviews().await?;
        let asked = open.iter().find(|review| review.run_id == run_id);
        asked.cloned().ok_or_else(|| anyhow::anyhow!("{open:#?}"))
    })
    .await
}

/// Waits until a question has expired and stays open all the same.
pub(crate) async fn escalated(api: &Api, run_id: &str, path: &str) {
    wait::until(&format!("{path} escalated"), || async {
        let run = api.run(run_id).await?;
        let step = run
            .steps
            .iter()
            .find(|step| path_of(&step.step_key) == path);
        let waits_for = step.map_or("", |step| &step.waiting_for);
        anyhow::ensure!(waits_for.contains("escalated"), "{run:#?}");
        Ok(())
    })
    .await;
}

/// Waits until a run has so many children, and gives them.
pub(crate) async fn children(api: &Api, run_id: &str, count: usize) -> Vec<Run> {
    let request = ListRunsRequest {
        namespace: NAMESPACE.to_owned(),
        filter: format!("parent_run_id == \"{run_id}\""),
        ..ListRunsRequest::default()
    };
    wait::until(&format!("{run_id} has {count} children"), || async {
        let list = |channel| {
            let request = request.clone();
            async move { client::runs(channel).list_runs(request).await }
        };
        let runs = api.call(list).await?.runs;
        anyhow::ensure!(runs.len() == count, "{runs:#?}");
        Ok(runs)
    })
    .await
}

/// A run's timeline as lines such as `StepOpened setup/invoice`; its chain is checked on the way.
pub(crate) async fn told(api: &Api, run_id: &str) -> anyhow::Result<Vec<String>> {
    let events = api.events(run_id).await?;
    timeline::verify(run_id, &events)?;
    for event in &events {
        anyhow::ensure!(
            event.cause_seq < event.seq,
            "the cause comes before: {event:?}"
        );
        anyhow::ensure!(!event.summary.is_empty(), "everything is told: {event:?}");
    }
    let line = |kind: &str, key: &str| format!("{kind} {}", path_of(key)).trim_end().to_owned();
    Ok(events
        .iter()
        .map(|event| line(&event.kind, &event.step_key))
        .collect())
}

/// What went wrong on a run's way, for the message of a test that fails.
pub(crate) async fn failures(api: &Api, run_id: &str) -> anyhow::Result<Vec<String>> {
    let events = api.events(run_id).await?;
    let failed = events
        .into_iter()
        .filter(|event| event.kind.contains("Fail"));
    Ok(failed.map(|event| event.summary).collect())
}

/// These lines stand in the story, in this order, whatever stands between them.
pub(crate) fn assert_told(story: &[String], lines: &[&str]) {
    let mut rest = story.iter();
    for line in lines {
        assert!(
            rest.any(|told| told == line),
            "`{line}` is missing at its place in {story:#?}"
        );
    }
}

/// A call was refused for this reason.
pub(crate) fn assert_refused<T: std::fmt::Debug>(
    answer: Result<T, impl Into<anyhow::Error>>,
    reason: ErrorReason,
) -> Refusal {
    let error = answer.expect_err("refused").into();
    let status = error.downcast_ref::<Status>().expect("a status").clone();
    let refusal = Refusal::from(status);
    assert_eq!(refusal.reason, Some(reason), "{refusal:?}");
    refusal
}

fn path_of(step_key: &str) -> &str {
    step_key.strip_suffix("~1").unwrap_or(step_key)
}
