//! Values that are too large for a message.

use fulcrum_proto::{
    common::v1::Payload,
    worker::v1::{JournalEntry, Task, TaskReport, journal_entry, task_report},
};
use fulcrum_sdk::{Context, Contract, EffectClass, Failure, capability};
use serde_json::{Value, json};

use crate::{
    controller::Controller,
    messages::{failure_code, output, task},
};

/// Twice this is a payload that is allowed.
const LARGE: usize = 3 << 19;

async fn double(_ctx: Context, input: String) -> Result<String, Failure> {
    Ok(input.repeat(2))
}

async fn remember(ctx: Context, _input: Value) -> Result<usize, Failure> {
    let all: String = ctx.step("all", async { Ok("x".repeat(LARGE)) }).await?;
    Ok(all.len())
}

fn with_input(input: Payload) -> Task {
    Task {
        input: Some(input),
        ..task("a", "text.double", json!(null))
    }
}

/// What is reported of a task of `text.double` or `text.remember`.
async fn report_of(controller: &Controller, task: Task) -> TaskReport {
    controller.offer(task);
    let working = controller
        .work(|worker| {
            let read = |name| Contract::new(name, EffectClass::Read);
            worker
                .capability(capability(read("text.double"), double))
                .capability(capability(read("text.remember"), remember))
        })
        .await;
    let report = controller
        .until(|state| state.reports.first().cloned())
        .await;
    working.stop().await.unwrap();
    report
}

fn payload_of(report: &TaskReport) -> Payload {
    match &report.outcome {
        Some(task_report::Outcome::Completed(done)) => done.output.clone().unwrap(),
        other => panic!("expected an output, got {other:?}"),
    }
}

#[tokio::test]
async fn a_large_input_is_read_and_a_large_output_uploaded_however_often_that_breaks_off() {
    let controller = Controller::start();
    let text = "x".repeat(LARGE);
    let input = {
        let mut state = controller.state();
        state.read_failures = 2;
        state.upload_failures = 2;
        state.keep(json!(text).to_string().into_bytes())
    };
    let report = report_of(&controller, with_input(input)).await;
    let state = controller.state();
    let output = state.kept(&payload_of(&report));
    assert_eq!(output, json!(text.repeat(2)).to_string().into_bytes());
    assert_eq!(
        state.reads_from,
        [0, 100_000, 200_000],
        "it goes on where it broke off"
    );
    assert!(state.polls.iter().all(|poll| poll.whole_bytes_max > 0));
}

#[tokio::test]
async fn a_large_result_of_a_step_is_uploaded_and_read_again() {
    let controller = Controller::start();
    let first = report_of(&controller, task("a", "text.remember", json!(null))).await;
    assert_eq!(output(&first), json!(LARGE));
    let (mut entry, again) = {
        let state = controller.state();
        (state.journals[&b"a"[..]][0].clone(), Controller::start())
    };
    let Some(journal_entry::Outcome::Output(recorded)) = &entry.outcome else {
        panic!("{entry:?}")
    };
    let value = controller.state().kept(recorded);
    assert_eq!(value.len(), LARGE + 2);
    entry = JournalEntry {
        outcome: Some(journal_entry::Outcome::Output(again.state().keep(value))),
        ..entry
    };
    let granted = Task {
        journal: vec![entry],
        lease_seq: 2,
        ..task("b", "text.remember", json!(null))
    };
    let second = report_of(&again, granted).await;
    assert_eq!(output(&second), json!(LARGE));
    assert!(again.state().journals.is_empty(), "it was not done again");
}

#[tokio::test]
async fn an_older_controller_is_sent_the_value_itself() {
    let controller = Controller::start();
    controller.state().knows_no_uploads = true;
    let text = "x".repeat(LARGE / 2 + 1);
    let report = report_of(&controller, task("a", "text.double", json!(text))).await;
    assert_eq!(output(&report), json!(text.repeat(2)));
}

#[tokio::test]
async fn an_input_that_cannot_be_read_or_is_not_what_was_stored_fails_the_task_untouched() {
    for spoil in [true, false] {
        let controller = Controller::start();
        let input = {
            let mut state = controller.state();
            let input = state.keep(b"\"as it was\"".to_vec());
            match spoil {
                true => state.values.values_mut().for_each(|value| value[1] = b'X'),
                false => state.values.clear(),
            }
            input
        };
        let report = report_of(&controller, with_input(input)).await;
        assert_eq!(failure_code(&report), "INPUT_UNREADABLE");
    }
}
