//! A step of a run.

use fulcrum_proto::workflow::v1::{StepKind, StepState, StepStatus};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::failure::FailureView;
use super::word::{Word as _, step_tone};
use crate::client::payload;
use crate::output::printer::Row;
use crate::output::table::Cell;
use crate::output::time;

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepView {
    /// Path and epoch.
    pub step_key: String,
    /// What it does.
    pub kind: &'static str,
    /// Where it stands.
    pub status: &'static str,
    /// Which attempt it is on; 0 before the first.
    pub attempt: u32,
    /// The capability it calls.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub capability: String,
    /// The worker on it or last on it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub worker_id: String,
    /// The worker that is on it now.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub worker_name: String,
    /// When that worker took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leased_at: Option<Timestamp>,
    /// What it waits for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub waiting_for: String,
    /// Since when nobody could take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stalled_since: Option<Timestamp>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it, or its last attempt, failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    #[serde(skip)]
    kind_code: StepKind,
    #[serde(skip)]
    status_code: StepStatus,
}

impl From<&StepState> for StepView {
    fn from(step: &StepState) -> Self {
        Self {
            step_key: step.step_key.clone(),
            kind: step.kind().word(),
            status: step.status().word(),
            attempt: step.attempt,
            capability: step.capability.clone(),
            worker_id: step.worker_id.clone(),
            worker_name: step.worker_name.clone(),
            leased_at: time::from_proto(step.leased_at.as_ref()),
            waiting_for: step.waiting_for.clone(),
            stalled_since: time::from_proto(step.stalled_since.as_ref()),
            started_at: time::from_proto(step.started_at.as_ref()),
            finished_at: time::from_proto(step.finished_at.as_ref()),
            output: step.output.as_ref().map(payload::to_json),
            failure: step.failure.as_ref().map(FailureView::from),
            kind_code: step.kind(),
            status_code: step.status(),
        }
    }
}

impl StepView {
    /// What it does.
    #[must_use]
    pub fn kind(&self) -> StepKind {
        self.kind_code
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> StepStatus {
        self.status_code
    }

    /// What there is to say about it besides its status.
    #[must_use]
    pub fn note(&self) -> String {
        match &self.failure {
            _ if !self.worker_name.is_empty() => {
                let since = self.leased_at.map(time::clock).unwrap_or_default();
                format!("{} is on it since {since}", self.worker_name)
            }
            _ if self.stalled_since.is_some() => self.waiting_for.clone(),
            _ if !self.waiting_for.is_empty() => format!("waits for {}", self.waiting_for),
            Some(failure) => failure.brief(),
            None => self.capability.clone(),
        }
    }
}

impl Row for StepView {
    const HEADER: &'static [&'static str] = &["STEP", "KIND", "STATUS", "ATTEMPT", "TOOK", "NOTE"];

    fn cells(&self) -> Vec<Cell> {
        let took = match (self.started_at, self.finished_at) {
            (Some(from), Some(to)) => time::span(time::between(from, to)),
            (Some(_) | None, _) => String::new(),
        };
        let attempt = if self.attempt == 0 {
            String::new()
        } else {
            self.attempt.to_string()
        };
        vec![
            Cell::from(&self.step_key),
            if self.kind_code == StepKind::Unspecified {
                ""
            } else {
                self.kind
            }
            .into(),
            Cell::toned(step_tone(self.status_code), self.status),
            attempt.into(),
            took.into(),
            self.note().into(),
        ]
    }

    fn id(&self) -> &str {
        &self.step_key
    }
}
