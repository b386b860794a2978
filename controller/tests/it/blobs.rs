//! Large payloads on their way through a controller, with a folder as object storage.

use std::path::{Path, PathBuf};

use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::worker::v1 as worker;
use fulcrum_proto::workflow::v1 as workflow;
use tempfile::TempDir;
use tonic::Code;

use crate::stack::{Member, SOURCE, Stack, assert_reason, json, registration};

struct Site {
    stack: Stack,
    operator: Member,
    connector: Member,
    folder: TempDir,
    /// Tasks that came before they were asked for.
    leased: Vec<worker::Task>,
}

const SLOTS: u32 = 4;
/// Calls for tasks that must do.
const CALLS_MAX: u32 = 50;

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("file://{}", folder.path().display());
        let (stack, operator) = Stack::start_with(|config| config.blobs.url = url).await;
        let connector = stack.add_connector(&operator).await;
        let registered = connector.tasks().register(registration("text.greet")).await;
        registered.expect("registers");
        let definition = workflow::ApplyDefinitionRequest {
            source: SOURCE.into(),
            ..Default::default()
        };
        operator.apply(definition).await.expect("applies");
        Self {
            stack,
            operator,
            connector,
            folder,
            leased: Vec::new(),
        }
    }

    async fn start(&self, key: &str, input: &str) -> Result<String, tonic::Status> {
        let started = self.operator.greet(key, input).await?;
        Ok(started.run.expect("a run").run_id)
    }

    async fn lease(&self) -> Vec<worker::Task> {
        let wait = prost_types::Duration {
            seconds: 20,
            nanos: 0,
        };
        let request = worker::LeaseTasksRequest {
            slots: SLOTS,
            wait: Some(wait),
            ..Default::default()
        };
        let answer = self.connector.tasks().lease_tasks(request).await;
        answer.expect("an answer").into_inner().tasks
    }

    /// The task of a run; those of some others must not come before it.
    async fn task_of(&mut self, run_id: &str, never: &[String]) -> worker::Task {
        for _ in 0..CALLS_MAX {
            let is_it = |task: &worker::Task| task.run_id == run_id;
            if let Some(at) = self.leased.iter().position(is_it) {
                return self.leased.remove(at);
            }
            let tasks = self.lease().await;
            let unwanted = tasks.iter().find(|task| never.contains(&task.run_id));
            assert_eq!(unwanted, None, "it cannot be read now");
            self.leased.extend(tasks);
        }
        panic!("no task of {run_id} in {CALLS_MAX} calls");
    }

    /// The folder of the installation.
    fn place(&self) -> PathBuf {
        let mut entries = std::fs::read_dir(self.folder.path()).expect("a folder");
        entries.next().expect("an entry").expect("readable").path()
    }

    fn objects(&self) -> usize {
        files(&self.place()) - 1
    }
}

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
    entries
        .map(|entry| count(entry.expect("readable").path()))
        .sum()
}

fn name(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test]
async fn what_is_large_lies_in_object_storage_and_reaches_everybody() {
    let mut site = Site::new().await;
    let input = format!(r#"{{"name":"{}"}}"#, name(100_000));
    let run_id = site.start("large", &input).await.expect("starts");
    let task = site.task_of(&run_id, &[]).await;
    assert_eq!(task.input.expect("an input").data, input);
    let output = format!(r#""{}""#, name(50_000));
    let outcome = worker::CompletedOutcome {
        output: json(&output),
    };
    let report = worker::TaskReport {
        lease: task.lease,
        outcome: Some(worker::task_report::Outcome::Completed(outcome)),
        ..Default::default()
    };
    let reported = worker::ReportTasksRequest {
        reports: vec![report],
        ..Default::default()
    };
    let answer = site.connector.tasks().report_tasks(reported).await;
    answer.expect("accepted");
    let run = site.operator.look(&run_id).await;
    assert_eq!(run.output.expect("an output").data, output);
    // The input and the output: what a step passes on as it is, is there once.
    assert_eq!(site.objects(), 2);
    site.stack.controller.shut_down().await;
}

#[tokio::test]
async fn while_object_storage_is_away_only_those_wait_who_need_it() {
    let mut site = Site::new().await;
    let large = format!(r#"{{"name":"{}"}}"#, name(100_000));
    // As many as a worker has slots, and they are the first in line.
    let mut waiting = Vec::new();
    for n in 0..SLOTS {
        let started = site.start(&format!("before {n}"), &large).await;
        waiting.push(started.expect("starts"));
    }
    let (place, aside) = (site.place(), site.folder.path().join("aside"));
    std::fs::rename(&place, &aside).expect("moved");
    std::fs::write(&place, "in the way").expect("written");

    let (small, refused) = tokio::join!(
        site.start("small", r#"{"name":"Ana"}"#),
        site.start("large", &large)
    );
    let refused = refused.expect_err("there is no place for it");
    assert_reason(&refused, Code::Unavailable, ErrorReason::StoreUnavailable);
    let small = small.expect("starts");
    site.task_of(&small, &waiting).await;

    std::fs::remove_file(&place).expect("removed");
    std::fs::rename(&aside, &place).expect("moved");
    for run_id in &waiting {
        let task = site.task_of(run_id, &[]).await;
        assert_eq!(task.input.expect("an input").data, large);
        assert_eq!(task.attempt, 1);
    }
    loop {
        // The storage is left alone for a moment after it failed.
        match site.start("large", &large).await {
            Ok(_) => break,
            Err(status) => {
                assert_reason(&status, Code::Unavailable, ErrorReason::StoreUnavailable);
            }
        }
    }
    site.stack.controller.shut_down().await;
}
