//! A run.

use fulcrum_proto::workflow::v1::{Run, RunStatus};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::failure::FailureView;
use super::step::StepView;
use super::word::{Word as _, is_closed, run_tone};
use crate::client::payload;
use crate::output::printer::{Page, Row};
use crate::output::table::Cell;
use crate::output::time;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunView {
    /// Its id.
    pub run_id: String,
    /// Where it lives.
    pub namespace: String,
    /// Its workflow.
    pub workflow: String,
    /// The version it is pinned to.
    pub definition_hash: String,
    /// Where it stands.
    pub status: &'static str,
    /// Whether it can go on; empty where nobody looked.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub health: &'static str,
    /// Since when it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled_since: Option<Timestamp>,
    /// What it waits for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub waiting_for: String,
    /// When it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
    /// What it was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// The run that started it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent_run_id: String,
    /// The step that started it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent_step_key: String,
    /// Its owner's key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub idempotency_key: String,
    /// Its trace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    /// Rises with every change.
    pub version: u64,
    /// Its steps, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepView>,
    #[serde(skip)]
    status_code: RunStatus,
    /// What distances are told from; `None` tells instants.
    #[serde(skip)]
    now: Option<Timestamp>,
}

impl From<&Run> for RunView {
    fn from(run: &Run) -> Self {
        Self {
            run_id: run.run_id.clone(),
            namespace: run.namespace.clone(),
            workflow: run.workflow.clone(),
            definition_hash: run.definition_hash.clone(),
            status: run.status().word(),
            health: run.health().word(),
            stalled_since: time::from_proto(run.stalled_since.as_ref()),
            waiting_for: run.waiting_for.clone(),
            started_at: time::from_proto(run.started_at.as_ref()),
            closed_at: time::from_proto(run.closed_at.as_ref()),
            input: run.input.as_ref().map(payload::to_json),
            output: run.output.as_ref().map(payload::to_json),
            failure: run.failure.as_ref().map(FailureView::from),
            parent_run_id: run.parent_run_id.clone(),
            parent_step_key: run.parent_step_key.clone(),
            idempotency_key: run.idempotency_key.clone(),
            trace_id: run.trace_id.clone(),
            version: run.version,
            steps: run.steps.iter().map(StepView::from).collect(),
            status_code: run.status(),
            now: None,
        }
    }
}

impl RunView {
    /// Tells times as distances from this instant.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> RunStatus {
        self.status_code
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        is_closed(self.status_code)
    }

    /// How long it took, or has been under way.
    #[must_use]
    pub fn took(&self) -> Option<String> {
        let end = self.closed_at.or(self.now)?;
        Some(time::span(time::between(self.started_at?, end)))
    }
}

impl Row for RunView {
    const HEADER: &'static [&'static str] =
        &["RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK", "NOTE"];

    fn cells(&self) -> Vec<Cell> {
        let started = time::told(self.started_at, self.now);
        let note = match &self.failure {
            Some(failure) => failure.brief(),
            None if self.waiting_for.is_empty() => String::new(),
            None => format!("waits for {}", self.waiting_for),
        };
        vec![
            Cell::from(&self.run_id),
            Cell::from(&self.workflow),
            Cell::toned(run_tone(self.status_code), self.status),
            started.into(),
            self.took().unwrap_or_default().into(),
            note.into(),
        ]
    }

    fn id(&self) -> &str {
        &self.run_id
    }
}

impl Page for RunView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("run", self.run_id.clone()),
            (
                "workflow",
                format!("{} ({})", self.workflow, short(&self.definition_hash)),
            ),
            ("namespace", self.namespace.clone()),
            ("status", self.status.to_owned()),
        ];
        let stalled = self.stalled_since.map(time::instant);
        let mut add = |label, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                pairs.push((label, value));
            }
        };
        add("stalled", stalled.map(|since| format!("since {since}")));
        add("waits for", Some(self.waiting_for.clone()));
        add("started", self.started_at.map(time::instant));
        add("closed", self.closed_at.map(time::instant));
        add("took", self.took());
        add("key", Some(self.idempotency_key.clone()));
        add(
            "parent",
            Some(
                format!("{} {}", self.parent_run_id, self.parent_step_key)
                    .trim()
                    .to_owned(),
            ),
        );
        add("trace", Some(self.trace_id.clone()));
        add("input", self.input.as_ref().map(pretty));
        add("output", self.output.as_ref().map(pretty));
        add("failure", self.failure.as_ref().map(FailureView::brief));
        pairs
    }

    fn id(&self) -> &str {
        &self.run_id
    }
}

/// JSON over several lines where it is an object or a list with something in it. What a terminal might obey or hide is
/// shown as an escape, because people decide on what they see here.
#[must_use]
pub fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    crate::output::safe_text::json(&text)
}

/// The part of a hash that people compare.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use fulcrum_proto::common::v1::{Failure, FailureClass, Payload};
    use fulcrum_proto::workflow::v1::{StepKind, StepState, StepStatus};

    use super::*;
    use crate::output::style::Palette;
    use crate::output::table::{columns, details};

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp {
            seconds: 1_795_000_000 + seconds,
            nanos: 0,
        })
    }

    fn run() -> RunView {
        let failure = Failure {
            class: FailureClass::Transient.into(),
            code: "HTTP_503".to_owned(),
            message: "the service is down".to_owned(),
            ..Failure::default()
        };
        RunView::from(&Run {
            run_id: "run_01kaf0".to_owned(),
            namespace: "default".to_owned(),
            workflow: "onboarding".to_owned(),
            definition_hash: "0123456789abcdef".to_owned(),
            status: RunStatus::Failed.into(),
            input: Some(Payload {
                encoding: "json".to_owned(),
                data: br#"{"plan":"free"}"#.to_vec().into(),
            }),
            failure: Some(failure.clone()),
            started_at: at(0),
            closed_at: at(75),
            steps: vec![StepState {
                step_key: "setup/invoice~1".to_owned(),
                kind: StepKind::Call.into(),
                status: StepStatus::Failed.into(),
                attempt: 5,
                started_at: at(1),
                finished_at: at(75),
                failure: Some(failure),
                capability: "billing.invoice.create".to_owned(),
                ..StepState::default()
            }],
            ..Run::default()
        })
    }

    #[test]
    fn a_run_in_a_list() {
        let row = run().seen_at(Timestamp::from_second(1_795_000_100).expect("valid"));
        insta::assert_snapshot!(columns(RunView::HEADER, vec![row.cells()], Palette::Plain));
    }

    #[test]
    fn a_run_in_full() {
        insta::assert_snapshot!(details(&run().pairs(), Palette::Plain));
    }

    #[test]
    fn a_run_as_json() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&run()).expect("serializes"));
    }

    #[test]
    fn the_steps_of_a_run() {
        let rows = run().steps.iter().map(Row::cells).collect();
        insta::assert_snapshot!(columns(StepView::HEADER, rows, Palette::Plain));
    }
}
