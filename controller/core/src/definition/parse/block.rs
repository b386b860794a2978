//! Steps that hold other steps.

use crate::definition::diagnostic::Code;
use crate::definition::model::{Case, Expr, Foreach, OnItemFailure, Step, StepKind};
use crate::definition::parse::fields::{At, Fields};
use crate::definition::parse::step::Steps;
use crate::definition::parse::value;

pub(super) fn parallel(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("parallel", |at| StepKind::Parallel {
        steps: steps.block(at),
    })
}

pub(super) fn foreach(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    let items = fields
        .take("foreach", |at| {
            value::expression(at, "a list such as `${ input.items }`")
        })
        .flatten();
    let body = fields.need("do", |at| Some(steps.block(at)));
    let max_parallel = fields
        .take("max_parallel", |at| value::whole(at, 0, 100_000))
        .flatten()
        .unwrap_or(0);
    let choices = [
        ("fail", OnItemFailure::Fail),
        ("continue", OnItemFailure::Continue),
    ];
    let on_item_failure = fields
        .take("on_item_failure", |at| value::choice(at, &choices))
        .flatten();
    let output = fields.take("output", value::template);
    Some(StepKind::Foreach(Foreach {
        items: items?,
        max_parallel: u32::try_from(max_parallel).unwrap_or(u32::MAX),
        steps: body?,
        output,
        on_item_failure: on_item_failure.unwrap_or(OnItemFailure::Fail),
    }))
}

pub(super) fn switch(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("switch", |at| {
        let nodes = at.list("a list of cases: `{ when, do }`, and `{ default }` last")?;
        let mut cases = Vec::new();
        let mut default: Option<Vec<Step>> = None;
        for (i, node) in nodes.iter().enumerate() {
            let path = format!("{}[{i}]", at.path);
            let at = At {
                node,
                path: &path,
                problems: at.problems,
            };
            let Some(mut fields) = at.fields("a case: `{ when, do }` or `{ default }`") else {
                continue;
            };
            if default.is_some() {
                at.report(Code::InvalidValue, "nothing comes after `default`");
            }
            if fields.has("default") {
                default = fields.take("default", |at| steps.block(at));
                fields.finish("a `default`", &[]);
                continue;
            }
            let when = fields.need("when", value::condition);
            let body = fields.need("do", |at| Some(steps.block(at)));
            fields.finish("a case", &[]);
            // A case that is only half there keeps its place, so that the paths of the others stay right.
            let when = when.unwrap_or_else(|| Expr("false".to_owned()));
            cases.push(Case {
                when,
                steps: body.unwrap_or_default(),
            });
        }
        if cases.is_empty() {
            at.report(
                Code::InvalidValue,
                "a `switch` needs at least one case with `when`",
            );
        }
        Some(StepKind::Switch {
            cases,
            default: default.unwrap_or_default(),
        })
    })?
}

pub(super) fn try_catch(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    let body = fields.take("try", |at| steps.block(at));
    let catch = fields.take("catch", |at| steps.block(at));
    let finally = fields.take("finally", |at| steps.block(at));
    if catch.is_none() && finally.is_none() {
        fields
            .at
            .report(Code::MissingKey, "a `try` needs a `catch` or a `finally`");
    }
    Some(StepKind::Try {
        steps: body.unwrap_or_default(),
        catch: catch.unwrap_or_default(),
        finally: finally.unwrap_or_default(),
    })
}
