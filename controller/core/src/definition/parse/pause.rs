//! Steps that let time pass.

use crate::definition::model::StepKind;
use crate::definition::parse::fields::{Fields, Later};
use crate::definition::parse::step::Steps;
use crate::definition::parse::value;
use crate::definition::source::Content;

pub(super) fn sleep(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("sleep", |at| StepKind::Sleep {
        span: value::span_template(at),
    })
}

pub(super) fn until(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("until", |at| StepKind::Until {
        at: value::instant_template(at),
    })
}

pub(super) fn wait(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("wait", |at| {
        if let Content::Text(_) = at.node.content {
            return value::label(at).map(|signal| StepKind::Wait { signal });
        }
        let mut fields = at.fields("a signal's name, or a mapping with `signal`")?;
        let signal = if fields.has("message") {
            None
        } else {
            fields.need("signal", value::label)
        };
        fields.finish(
            "a wait",
            &[Later("message", "; wait for a `signal` to this run")],
        );
        signal.map(|signal| StepKind::Wait { signal })
    })?
}
