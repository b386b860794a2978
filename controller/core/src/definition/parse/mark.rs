//! Steps that close the moment they open.

use std::collections::BTreeMap;

use crate::definition::diagnostic::Code;
use crate::definition::model::StepKind;
use crate::definition::parse::fields::{At, Fields};
use crate::definition::parse::step::Steps;
use crate::definition::parse::value;
use crate::definition::source::{Content, join};

pub(super) fn checkpoint(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields
        .take("checkpoint", value::label)
        .flatten()
        .map(|name| StepKind::Checkpoint { name })
}

pub(super) fn set(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("set", |at| {
        let fields = at.fields("a mapping of names to values")?;
        let mut vars = BTreeMap::new();
        for (key, node) in fields.entries() {
            let path = join(at.path, &key.name);
            let at = At {
                node,
                path: &path,
                problems: at.problems,
            };
            let starts = key
                .name
                .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !starts
                || key.name.len() > 64
                || !key
                    .name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_')
            {
                let rule =
                    "a variable's name is a letter followed by at most 63 letters, digits and `_`";
                at.report(
                    Code::InvalidValue,
                    format!("`{}` is not allowed here: {rule}", key.name),
                );
            }
            vars.insert(key.name.clone(), value::template(at));
        }
        if vars.is_empty() {
            at.report(
                Code::InvalidValue,
                "there must be at least one variable here",
            );
        }
        Some(StepKind::Set { vars })
    })?
}

pub(super) fn return_value(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("return", |at| StepKind::Return {
        value: value::template(at),
    })
}

pub(super) fn fail(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("fail", |at| {
        if let Content::Text(_) = at.node.content {
            return Some(StepKind::Fail {
                code: "FAILED".to_owned(),
                message: value::template(at),
            });
        }
        let mut fields = at.fields("a message, or a mapping with `code` and `message`")?;
        let code = fields
            .take("code", value::failure_code)
            .unwrap_or_else(|| Some("FAILED".to_owned()));
        let message = fields.need("message", |at| {
            at.text("a text").map(|_| value::template(at))
        });
        fields.finish("a `fail` step", &[]);
        Some(StepKind::Fail {
            code: code?,
            message: message?,
        })
    })?
}
