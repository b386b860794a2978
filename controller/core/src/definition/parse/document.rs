//! The document itself.

use std::cell::{Cell, RefCell};

use crate::definition::diagnostic::{Code, Diagnostic};
use crate::definition::model::{Definition, LANGUAGE_VERSION};
use crate::definition::parse::fields::{At, Later};
use crate::definition::parse::step::Steps;
use crate::definition::parse::value;
use crate::definition::source::Node;
use crate::limits::Limits;

const LATER: &[Later] = &[
    Later("index", "; runs are found by workflow, state and time"),
    Later("subject", ""),
    Later("concurrency", ""),
    Later("budget", ""),
    Later(
        "triggers",
        "; start runs with `fulcrum run start` or the API",
    ),
    Later(
        "schedule",
        "; start runs with `fulcrum run start` or the API",
    ),
];

pub(super) fn definition(
    root: &Node,
    limits: &Limits,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Definition> {
    let problems = RefCell::new(std::mem::take(diagnostics));
    let definition = read(
        At {
            node: root,
            path: "",
            problems: &problems,
        },
        limits,
    );
    *diagnostics = problems.into_inner();
    definition
}

fn read(root: At<'_>, limits: &Limits) -> Option<Definition> {
    let mut fields = root.fields("a mapping with `workflow` and `steps`")?;
    if let Some(Some(language)) =
        fields.take("language", |at| value::whole(at, 1, u64::from(u16::MAX)))
        && language != u64::from(LANGUAGE_VERSION)
    {
        let message = format!("this version speaks language {LANGUAGE_VERSION}, not {language}");
        fields.take("language", |at| at.report(Code::NotAvailable, message));
    }
    let workflow = fields
        .need("workflow", value::workflow_name)
        .unwrap_or_default();
    let description = fields
        .take("description", |at| at.text("a text").map(str::to_owned))
        .flatten();
    let input = fields
        .take("input", |at| {
            at.fields("a JSON Schema: a mapping")
                .map(|_| at.node.to_value())
        })
        .flatten();
    let steps = Steps {
        limits,
        depth: Cell::new(0),
        count: Cell::new(0),
        generated: RefCell::default(),
    };
    let body = fields
        .need("steps", |at| Some(steps.block(at)))
        .unwrap_or_default();
    let output = fields.take("output", value::template);
    fields.finish("a workflow", LATER);
    Some(Definition {
        language: LANGUAGE_VERSION,
        workflow,
        description,
        input,
        steps: body,
        output,
    })
}
