//! What steps do: one reader per kind.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::definition::diagnostic::Code;
use crate::definition::model::{
    Case, Foreach, OnExpiry, OnItemFailure, OnReject, Review, Step, StepKind, Template,
};
use crate::definition::parse::fields::{At, Fields, Later};
use crate::definition::parse::step::Steps;
use crate::definition::parse::value;
use crate::definition::source::{Content, join};

/// A kind of step.
pub(super) struct Kind {
    /// The key that makes a step one of this kind.
    pub(super) name: &'static str,
    /// All keys that belong to it beside the common ones.
    pub(super) keys: &'static [&'static str],
    /// Does a step without an id get one?
    pub(super) named_by_us: bool,
    reader: Reader,
}

type Reader = fn(&Steps<'_>, &mut Fields<'_>) -> Option<StepKind>;

impl Kind {
    pub(super) fn read(&self, steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
        (self.reader)(steps, fields)
    }
}

/// Every kind, in the order of the guide.
pub(super) const KINDS: &[Kind] = &[
    Kind {
        name: "call",
        keys: &["call", "with"],
        named_by_us: false,
        reader: call,
    },
    Kind {
        name: "review",
        keys: &["review"],
        named_by_us: false,
        reader: review,
    },
    Kind {
        name: "sleep",
        keys: &["sleep"],
        named_by_us: false,
        reader: sleep,
    },
    Kind {
        name: "until",
        keys: &["until"],
        named_by_us: false,
        reader: until,
    },
    Kind {
        name: "wait",
        keys: &["wait"],
        named_by_us: false,
        reader: wait,
    },
    Kind {
        name: "parallel",
        keys: &["parallel"],
        named_by_us: false,
        reader: parallel,
    },
    Kind {
        name: "foreach",
        keys: &["foreach", "do", "max_parallel", "on_item_failure", "output"],
        named_by_us: false,
        reader: foreach,
    },
    Kind {
        name: "switch",
        keys: &["switch"],
        named_by_us: false,
        reader: switch,
    },
    Kind {
        name: "try",
        keys: &["try", "catch", "finally"],
        named_by_us: false,
        reader: try_catch,
    },
    Kind {
        name: "run",
        keys: &["run", "with"],
        named_by_us: false,
        reader: run,
    },
    Kind {
        name: "checkpoint",
        keys: &["checkpoint"],
        named_by_us: false,
        reader: checkpoint,
    },
    Kind {
        name: "set",
        keys: &["set"],
        named_by_us: true,
        reader: set,
    },
    Kind {
        name: "return",
        keys: &["return"],
        named_by_us: true,
        reader: return_value,
    },
    Kind {
        name: "fail",
        keys: &["fail"],
        named_by_us: true,
        reader: fail,
    },
];

/// Does it close the moment it opens?
pub(super) fn is_instant(kind: &StepKind) -> bool {
    match kind {
        StepKind::Checkpoint { .. }
        | StepKind::Set { .. }
        | StepKind::Return { .. }
        | StepKind::Fail { .. } => true,
        StepKind::Call { .. }
        | StepKind::Review(_)
        | StepKind::Sleep { .. }
        | StepKind::Until { .. }
        | StepKind::Wait { .. }
        | StepKind::Parallel { .. }
        | StepKind::Foreach(_)
        | StepKind::Switch { .. }
        | StepKind::Try { .. }
        | StepKind::Run { .. } => false,
    }
}

fn call(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    let capability = fields.take("call", value::capability_name).flatten();
    let with = with(fields);
    Some(StepKind::Call {
        capability: capability?,
        with,
    })
}

fn run(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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

fn review(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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

fn sleep(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("sleep", |at| StepKind::Sleep {
        span: value::span_template(at),
    })
}

fn until(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("until", |at| StepKind::Until {
        at: value::instant_template(at),
    })
}

fn wait(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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

fn parallel(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("parallel", |at| StepKind::Parallel {
        steps: steps.block(at),
    })
}

fn foreach(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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

fn switch(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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
            let when = when.unwrap_or_else(|| crate::definition::model::Expr("false".to_owned()));
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

fn try_catch(steps: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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

fn checkpoint(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields
        .take("checkpoint", value::label)
        .flatten()
        .map(|name| StepKind::Checkpoint { name })
}

fn set(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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

fn return_value(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
    fields.take("return", |at| StepKind::Return {
        value: value::template(at),
    })
}

fn fail(_: &Steps<'_>, fields: &mut Fields<'_>) -> Option<StepKind> {
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
