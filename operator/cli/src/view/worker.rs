//! An executor or connector.

use std::collections::BTreeMap;

use fulcrum_proto::admin::v1::{Worker, WorkerState};
use jiff::Timestamp;
use serde::Serialize;

use super::word::Word as _;
use crate::output::printer::{Page, Row};
use crate::output::style::Tone;
use crate::output::table::Cell;
use crate::output::time;

/// A worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerView {
    /// Its id.
    pub worker_id: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// Where its identity stands.
    pub state: &'static str,
    /// What it may offer.
    pub capability_patterns: Vec<String>,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// Its labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its software.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sdk_version: String,
    /// When it enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolled_at: Option<Timestamp>,
    /// When it was last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
    /// When its certificate expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Timestamp>,
    /// Tasks it runs at once.
    pub slots: u32,
    #[serde(skip)]
    state_code: WorkerState,
    #[serde(skip)]
    now: Option<Timestamp>,
}

impl From<&Worker> for WorkerView {
    fn from(worker: &Worker) -> Self {
        Self {
            worker_id: worker.worker_id.clone(),
            name: worker.name.clone(),
            kind: worker.kind().word(),
            state: worker.state().word(),
            capability_patterns: worker.capability_patterns.clone(),
            capabilities: worker.capabilities.clone(),
            labels: worker.labels.clone().into_iter().collect(),
            sdk_version: worker.sdk_version.clone(),
            enrolled_at: time::from_proto(worker.enrolled_at.as_ref()),
            last_seen_at: time::from_proto(worker.last_seen_at.as_ref()),
            certificate_expires_at: time::from_proto(worker.certificate_expires_at.as_ref()),
            slots: worker.slots,
            state_code: worker.state(),
            now: None,
        }
    }
}

impl WorkerView {
    /// Tells times as distances from this instant.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }
}

impl Row for WorkerView {
    const HEADER: &'static [&'static str] = &[
        "WORKER",
        "KIND",
        "STATE",
        "SLOTS",
        "SEEN",
        "CERT EXPIRES",
        "OFFERS",
    ];

    fn cells(&self) -> Vec<Cell> {
        let tone = match self.state_code {
            WorkerState::Connected => Tone::Good,
            WorkerState::Disconnected => Tone::Warn,
            WorkerState::Revoked | WorkerState::Unspecified => Tone::Faint,
        };
        vec![
            Cell::from(&self.name),
            self.kind.into(),
            Cell::toned(tone, self.state),
            self.slots.to_string().into(),
            time::told(self.last_seen_at, self.now).into(),
            time::told(self.certificate_expires_at, self.now).into(),
            self.capabilities.join(" ").into(),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}

impl Page for WorkerView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("worker", self.name.clone()),
            ("id", self.worker_id.clone()),
            ("kind", self.kind.to_owned()),
            ("state", self.state.to_owned()),
            ("may offer", self.capability_patterns.join(" ")),
            ("offers", self.capabilities.join(" ")),
            (
                "enrolled",
                self.enrolled_at.map(time::instant).unwrap_or_default(),
            ),
            ("last seen", time::told(self.last_seen_at, self.now)),
            (
                "certificate",
                time::told(self.certificate_expires_at, self.now),
            ),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}
