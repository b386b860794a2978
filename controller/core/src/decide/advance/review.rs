//! Reviews: a person is asked.

use serde_json::{Value, json};

use crate::decide::command::TimerPurpose;
use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt};
use crate::definition::model::{OnExpiry, OnReject, Review};
use crate::definition::plan::Node;
use crate::event::{Activity, ReviewAsked, StepKey};
use crate::failure::{Failure, code};
use crate::ids::ReviewId;
use crate::payload::PayloadRef;
use crate::store::{ReviewOp, ReviewRow};
use crate::time::Millis;

use super::open::text;

/// The terms of a question.
pub(super) struct ReviewTerms {
    pub(super) edit: bool,
    pub(super) expires: Option<Millis>,
    pub(super) on_expiry: OnExpiry,
    pub(super) on_reject: OnReject,
}

impl Desk<'_> {
    pub(super) fn open_review_step(&mut self, node: &Node, review: &Review) -> Result<(), Halt> {
        let title = text(&self.render(Some(node.id), &review.title)?);
        let show = self.produce_stored(Some(node.id), &review.show)?;
        let Review {
            edit,
            expires,
            on_expiry,
            on_reject,
            ..
        } = *review;
        self.open_review(
            &node.key,
            &title,
            show,
            ReviewTerms {
                edit,
                expires,
                on_expiry,
                on_reject,
            },
        )
    }

    pub(super) fn open_review(
        &mut self,
        key: &StepKey,
        title: &str,
        show: PayloadRef,
        terms: ReviewTerms,
    ) -> Result<(), Halt> {
        self.check_open_waits()?;
        let shown = self.value_of(Some(show))?;
        let content = self.store(json!({ "title": title, "show": *shown }))?;
        let ReviewTerms {
            edit,
            expires,
            on_expiry,
            on_reject,
        } = terms;
        let review = ReviewId::of_step(self.run.id, &key.to_string());
        let expires_at = expires.map(|span| self.now().plus(span));
        let asked = ReviewAsked {
            review,
            content,
            show,
            edit,
            expires_at,
            on_expiry,
            on_reject,
        };
        self.opened(key, Activity::Review(asked));
        self.decision.reviews.push(ReviewOp::Open(ReviewRow {
            review,
            namespace: self.run.origin.namespace,
            run: self.run.id,
            step: key.clone(),
            content,
            show,
            edit,
            asked_at: self.now(),
            expires_at,
        }));
        if let Some(at) = expires_at {
            self.set_timer(key, TimerPurpose::Expiry, at);
        }
        Ok(())
    }

    /// The answer is yes. A step's output is what was shown, or its edited version; an operation's result tells more.
    pub(in crate::decide) fn review_approved(
        &mut self,
        step: &StepKey,
        asked: &ReviewAsked,
        edited: Option<PayloadRef>,
        comment: Option<&str>,
    ) -> Result<(), Rejection> {
        let value = edited.unwrap_or(asked.show);
        if !self.is_operation(step) {
            self.complete(step, Some(value), None);
            return Ok(());
        }
        let result = self.value_of(Some(value)).map(|value| (*value).clone());
        let result = result.and_then(|value| self.answer(step, json!(true), value, comment));
        self.or_fail(step, result)
    }

    /// The answer is no.
    pub(in crate::decide) fn review_rejected(
        &mut self,
        step: &StepKey,
        asked: &ReviewAsked,
        comment: Option<&str>,
    ) -> Result<(), Rejection> {
        if self.is_operation(step) {
            let result = self.answer(step, json!(false), Value::Null, comment);
            return self.or_fail(step, result);
        }
        match asked.on_reject {
            OnReject::Continue => self.complete(step, None, None),
            OnReject::Fail => {
                let message = comment.map_or_else(
                    || "rejected".to_owned(),
                    |comment| format!("rejected: {comment}"),
                );
                self.fail(step, Failure::fatal(code::REJECTED, message), None);
            }
        }
        Ok(())
    }

    fn answer(
        &mut self,
        step: &StepKey,
        approved: Value,
        value: Value,
        comment: Option<&str>,
    ) -> Result<(), Halt> {
        let output =
            self.store(json!({ "approved": approved, "value": value, "comment": comment }))?;
        self.complete(step, Some(output), None);
        Ok(())
    }
}
