//! Messages that tests make and read.

use fulcrum_proto::{
    common::v1::Payload,
    worker::v1::{Task, TaskReport, task_report},
};
use serde_json::Value;

pub(crate) fn task(lease: &str, capability: &str, input: Value) -> Task {
    Task {
        lease: lease.to_owned().into(),
        task_id: format!("task-of-{lease}"),
        run_id: "run_1".into(),
        step_key: "step~1".into(),
        capability: capability.into(),
        attempt: 1,
        lease_seq: 1,
        effect_key: "e".repeat(64),
        input: Some(payload(&input)),
        ..Task::default()
    }
}

pub(crate) fn payload(value: &Value) -> Payload {
    Payload {
        encoding: "json".into(),
        data: value.to_string().into(),
    }
}

/// The output a report carries; panics if it carries something else.
pub(crate) fn output(report: &TaskReport) -> Value {
    match &report.outcome {
        Some(task_report::Outcome::Completed(done)) => {
            serde_json::from_slice(&done.output.as_ref().unwrap().data).unwrap()
        }
        other => panic!("expected an output, got {other:?}"),
    }
}

/// The code of the failure a report carries; panics if it carries something else.
pub(crate) fn failure_code(report: &TaskReport) -> String {
    match &report.outcome {
        Some(task_report::Outcome::Failed(failed)) => failed.failure.clone().unwrap().code,
        other => panic!("expected a failure, got {other:?}"),
    }
}
