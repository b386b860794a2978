//! An entry of the timeline.

use fulcrum_proto::workflow::v1::Event;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::output::printer::Row;
use crate::output::style::{Palette, Tone};
use crate::output::table::Cell;
use crate::output::{safe_text, time};

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventView {
    /// Place in the timeline, from 1.
    pub seq: u64,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// What happened.
    pub kind: String,
    /// The step it is about.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub step_key: String,
    /// The attempt it is about.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// Who caused it.
    pub actor: String,
    /// The event that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause_seq: Option<u64>,
    /// On one line.
    pub summary: String,
    /// Its trace.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_id: String,
    /// Its content.
    pub details: Value,
    /// Hash over this and all before it.
    pub hash: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            seq: event.seq,
            at: time::from_proto(event.at.as_ref()),
            kind: event.kind.clone(),
            step_key: event.step_key.clone(),
            attempt: event.attempt,
            actor: event.actor.clone(),
            cause_seq: (event.cause_seq > 0).then_some(event.cause_seq),
            summary: event.summary.clone(),
            trace_id: event.trace_id.clone(),
            details: serde_json::from_slice(&event.details_json).unwrap_or(Value::Null),
            hash: hex::encode(&event.hash),
        }
    }
}

impl EventView {
    fn tone(&self) -> Tone {
        match self.kind.as_str() {
            "RunCompleted" | "StepCompleted" => Tone::Good,
            "RunFailed" | "StepFailed" => Tone::Bad,
            "AttemptFailed" | "LeaseExpired" | "RunCancelRequested" => Tone::Warn,
            _ => Tone::Plain,
        }
    }
}

impl EventView {
    /// On one line, in columns of a fixed width, for events that come one by one.
    #[must_use]
    pub fn line(&self, palette: Palette) -> String {
        let at = self.at.map(time::clock).unwrap_or_default();
        let kind = palette.paint(self.tone(), &format!("{:<18}", safe_text::line(&self.kind)));
        let cause = self
            .cause_seq
            .map(|seq| format!("#{seq}"))
            .unwrap_or_default();
        let (seq, summary) = (self.seq, safe_text::line(&self.summary));
        format!("{seq:>4}  {at}  {kind}  {cause:>5}  {summary}")
    }
}

impl Row for EventView {
    const HEADER: &'static [&'static str] =
        &["SEQ", "TIME", "EVENT", "STEP", "CAUSE", "BY", "WHAT"];

    fn cells(&self) -> Vec<Cell> {
        vec![
            self.seq.to_string().into(),
            self.at.map(time::clock).unwrap_or_default().into(),
            Cell::toned(self.tone(), &self.kind),
            Cell::from(&self.step_key),
            self.cause_seq
                .map(|seq| format!("#{seq}"))
                .unwrap_or_default()
                .into(),
            Cell::from(&self.actor),
            Cell::from(&self.summary),
        ]
    }

    fn id(&self) -> &str {
        &self.hash
    }
}
