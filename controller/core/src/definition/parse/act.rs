//! Steps that have somebody act: a worker, another run, a person.

use serde_json::Value;

use crate::definition::diagnostic::Code;
use crate::definition::model::{OnExpiry, OnReject, Review, StepKind, Template};
use crate::definition::parse::fields::{Fields, Later};
use crate::definition::parse::step::Steps;
use crate::definition::parse::value;
use crate::definition::source::Content;

pub(super) fn call(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    let capability = fields.take("call", value::capability_name).flatten();
    let with = with(fields);
    Some(StepKind::Call {
        capability: capability?,
        with,
    })
}

pub(super) fn run(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    let workflow = fields.take("run", value::workflow_name).flatten();
    let with = with(fields);
    Some(StepKind::Run {
        workflow: workflow?,
        with,
    })
}

/// The input; an empty object when there is none.
fn with(fields: &mut Fields<'_>) -> Template {
    fields
        .take("with", value::template)
        .unwrap_or_else(|| Template::Literal(Value::Object(serde_json::Map::new())))
}

pub(super) fn review(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("review", |at| {
        let mut review = Review {
            title: Template::Literal(Value::Null),
            show: Template::Literal(Value::Null),
            edit: false,
            expires: None,
            on_expiry: OnExpiry::Fail,
            on_reject: OnReject::Fail,
        };
        if let Content::Text(_) = at.node.content {
            review.title = value::template(at);
            return Some(StepKind::Review(review));
        }
        let mut fields = at.fields("a question, or a mapping with `title`")?;
        review.title = fields.need("title", |at| at.text("a text").map(|_| value::template(at)))?;
        review.show = fields.take("show", value::template).unwrap_or(review.show);
        review.edit = fields
            .take("edit", value::flag)
            .flatten()
            .unwrap_or(review.edit);
        review.expires = fields.take("expires", value::duration).flatten();
        let on_expiry = [
            ("fail", OnExpiry::Fail),
            ("approve", OnExpiry::Approve),
            ("reject", OnExpiry::Reject),
            ("escalate", OnExpiry::Escalate),
        ];
        let given = fields
            .take("on_expiry", |at| value::choice(at, &on_expiry))
            .flatten();
        if given.is_some() && review.expires.is_none() && !fields.has("expires") {
            fields.at.report(
                Code::InvalidValue,
                "`on_expiry` means nothing without `expires`",
            );
        }
        review.on_expiry = given.unwrap_or(review.on_expiry);
        let on_reject = [("fail", OnReject::Fail), ("continue", OnReject::Continue)];
        review.on_reject = fields
            .take("on_reject", |at| value::choice(at, &on_reject))
            .flatten()
            .unwrap_or(review.on_reject);
        fields.finish("a review", &[Later("to", ""), Later("assignee", "")]);
        Some(StepKind::Review(review))
    })?
}
