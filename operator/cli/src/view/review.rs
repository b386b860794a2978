//! A question to a person.

use fulcrum_proto::review::v1::{Review, ReviewState};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::run::pretty;
use super::word::Word as _;
use crate::client::payload;
use crate::output::printer::{Page, Row};
use crate::output::style::Tone;
use crate::output::table::Cell;
use crate::output::time;

/// A review.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReviewView {
    /// Its id.
    pub review_id: String,
    /// The question.
    pub title: String,
    /// Where it stands.
    pub state: &'static str,
    /// Workflow that asks.
    pub workflow: String,
    /// Run that asks.
    pub run_id: String,
    /// Step that asks.
    pub step_key: String,
    /// What is decided on.
    pub show: Value,
    /// Whether it may be changed when approving.
    pub editable: bool,
    /// Why it is asked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rationale: String,
    /// When it was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub decided_by: String,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// What was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// What was approved instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited: Option<Value>,
    /// Hash of what is decided on; `--digest` binds a decision to it.
    pub digest: String,
    #[serde(skip)]
    state_code: ReviewState,
    #[serde(skip)]
    now: Option<Timestamp>,
}

impl From<&Review> for ReviewView {
    fn from(review: &Review) -> Self {
        Self {
            review_id: review.review_id.clone(),
            title: review.title.clone(),
            state: review.state().word(),
            workflow: review.workflow.clone(),
            run_id: review.run_id.clone(),
            step_key: review.step_key.clone(),
            show: review.show.as_ref().map_or(Value::Null, payload::to_json),
            editable: review.editable,
            rationale: review.rationale.clone(),
            asked_at: time::from_proto(review.asked_at.as_ref()),
            expires_at: time::from_proto(review.expires_at.as_ref()),
            decided_by: review.decided_by.clone(),
            decided_at: time::from_proto(review.decided_at.as_ref()),
            comment: review.comment.clone(),
            edited: review.edited.as_ref().map(payload::to_json),
            digest: hex::encode(&review.digest),
            state_code: review.state(),
            now: None,
        }
    }
}

impl ReviewView {
    /// Tells times as distances from this instant.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }
}

impl Row for ReviewView {
    const HEADER: &'static [&'static str] = &[
        "REVIEW", "STATE", "ASKED", "EXPIRES", "WORKFLOW", "QUESTION",
    ];

    fn cells(&self) -> Vec<Cell> {
        let tone = match self.state_code {
            ReviewState::Open => Tone::Warn,
            ReviewState::Approved => Tone::Good,
            ReviewState::Rejected | ReviewState::Expired => Tone::Bad,
            ReviewState::Withdrawn | ReviewState::Unspecified => Tone::Faint,
        };
        vec![
            Cell::from(&self.review_id),
            Cell::toned(tone, self.state),
            time::told(self.asked_at, self.now).into(),
            time::told(self.expires_at, self.now).into(),
            Cell::from(&self.workflow),
            Cell::from(&self.title),
        ]
    }

    fn id(&self) -> &str {
        &self.review_id
    }
}

impl Page for ReviewView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("review", self.review_id.clone()),
            ("question", crate::output::safe_text::line(&self.title)),
            ("state", self.state.to_owned()),
            (
                "asked by",
                format!("{} {} {}", self.workflow, self.run_id, self.step_key),
            ),
        ];
        let mut add = |label, value: String| {
            if !value.is_empty() {
                pairs.push((label, value));
            }
        };
        add("because", self.rationale.clone());
        add(
            "asked",
            self.asked_at.map(time::instant).unwrap_or_default(),
        );
        add(
            "expires",
            self.expires_at.map(time::instant).unwrap_or_default(),
        );
        add("shows", pretty(&self.show));
        add(
            "editable",
            if self.editable {
                "yes: approve with --edited"
            } else {
                "no"
            }
            .to_owned(),
        );
        add("decided by", self.decided_by.clone());
        add(
            "decided",
            self.decided_at.map(time::instant).unwrap_or_default(),
        );
        add("comment", self.comment.clone());
        add(
            "went on with",
            self.edited.as_ref().map(pretty).unwrap_or_default(),
        );
        add("digest", self.digest.clone());
        pairs
    }

    fn id(&self) -> &str {
        &self.review_id
    }
}

#[cfg(test)]
mod tests {
    use fulcrum_proto::common::v1::Payload;

    use super::*;
    use crate::output::style::Palette;
    use crate::output::table::details;

    #[test]
    fn a_review_shows_what_is_decided_on_and_nothing_that_moves_the_cursor() {
        let show = Payload {
            encoding: "json".to_owned(),
            data: br#"{"body":"Hi \u001b[2J\u202eAda"}"#.to_vec().into(),
        };
        let review = Review {
            review_id: "rev_01kaf0".to_owned(),
            run_id: "run_01kaf0".to_owned(),
            step_key: "approve~1".to_owned(),
            workflow: "onboarding".to_owned(),
            title: "Send this welcome?\u{1b}]0;gotcha\u{07}\nreview: rev_other".to_owned(),
            show: Some(show),
            editable: true,
            state: ReviewState::Open.into(),
            digest: vec![0xab; 32].into(),
            ..Review::default()
        };
        insta::assert_snapshot!(details(&ReviewView::from(&review).pairs(), Palette::Plain));
    }
}
