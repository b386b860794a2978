//! Short ways to write definitions down.

use std::collections::BTreeMap;

use fulcrum_core::definition::model::{
    Case, Definition, Expr, Foreach, LANGUAGE_VERSION, OnExpiry, OnFailure, OnItemFailure,
    OnReject, Review, Step, StepKind, Template, Timeouts,
};
use fulcrum_core::time::Millis;
use serde_json::Value;

pub(crate) fn workflow(steps: Vec<Step>) -> Definition {
    Definition {
        language: LANGUAGE_VERSION,
        workflow: "test".to_owned(),
        description: None,
        input: None,
        steps,
        output: None,
    }
}

pub(crate) fn expr(text: &str) -> Template {
    Template::Expr(Expr(text.to_owned()))
}

pub(crate) fn literal(value: Value) -> Template {
    Template::Literal(value)
}

pub(crate) fn step(id: &str, kind: StepKind) -> Step {
    Step {
        id: id.to_owned(),
        kind,
        when: None,
        needs: Vec::new(),
        retry: None,
        timeout: Timeouts::default(),
        on_failure: OnFailure::Fail,
        priority: 0,
    }
}

pub(crate) fn call(id: &str) -> Step {
    call_with(id, literal(Value::Null))
}

pub(crate) fn call_with(id: &str, with: Template) -> Step {
    step(
        id,
        StepKind::Call {
            capability: format!("do.{id}"),
            with,
        },
    )
}

pub(crate) fn parallel(id: &str, steps: Vec<Step>) -> Step {
    step(id, StepKind::Parallel { steps })
}

pub(crate) fn attempt(id: &str, steps: Vec<Step>, catch: Vec<Step>, finally: Vec<Step>) -> Step {
    step(
        id,
        StepKind::Try {
            steps,
            catch,
            finally,
        },
    )
}

pub(crate) fn switch(id: &str, cases: Vec<(&str, Vec<Step>)>, default: Vec<Step>) -> Step {
    let cases = cases.into_iter().map(|(when, steps)| Case {
        when: Expr(when.to_owned()),
        steps,
    });
    step(
        id,
        StepKind::Switch {
            cases: cases.collect(),
            default,
        },
    )
}

pub(crate) fn foreach(id: &str, items: &str, max_parallel: u32, steps: Vec<Step>) -> Step {
    let on_item_failure = OnItemFailure::Fail;
    step(
        id,
        StepKind::Foreach(Foreach {
            items: Expr(items.to_owned()),
            max_parallel,
            steps,
            output: None,
            on_item_failure,
        }),
    )
}

pub(crate) fn child(id: &str, workflow: &str, with: Template) -> Step {
    step(
        id,
        StepKind::Run {
            workflow: workflow.to_owned(),
            with,
        },
    )
}

pub(crate) fn review(id: &str, show: Template) -> Step {
    step(
        id,
        StepKind::Review(Review {
            title: literal(Value::from("Is this right?")),
            show,
            edit: true,
            expires: Some(Millis::from_secs(60)),
            on_expiry: OnExpiry::Fail,
            on_reject: OnReject::Fail,
        }),
    )
}

pub(crate) fn wait(id: &str, signal: &str) -> Step {
    step(
        id,
        StepKind::Wait {
            signal: signal.to_owned(),
        },
    )
}

pub(crate) fn sleep(id: &str, span: &str) -> Step {
    step(
        id,
        StepKind::Sleep {
            span: literal(Value::from(span)),
        },
    )
}

pub(crate) fn set(id: &str, name: &str, value: Template) -> Step {
    step(
        id,
        StepKind::Set {
            vars: BTreeMap::from([(name.to_owned(), value)]),
        },
    )
}

pub(crate) fn give_back(id: &str, value: Template) -> Step {
    step(id, StepKind::Return { value })
}

pub(crate) fn fail(id: &str, code: &str) -> Step {
    step(
        id,
        StepKind::Fail {
            code: code.to_owned(),
            message: literal(Value::from("on purpose")),
        },
    )
}

/// Changes to a step, for chaining.
pub(crate) trait With: Sized {
    fn when(self, text: &str) -> Self;
    fn needs(self, names: &[&str]) -> Self;
    fn absorbing(self) -> Self;
    fn within(self, total: Millis) -> Self;
}

impl With for Step {
    fn when(mut self, text: &str) -> Self {
        self.when = Some(Expr(text.to_owned()));
        self
    }

    fn needs(mut self, names: &[&str]) -> Self {
        self.needs = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    fn absorbing(mut self) -> Self {
        self.on_failure = OnFailure::Continue;
        self
    }

    fn within(mut self, total: Millis) -> Self {
        self.timeout.total = Some(total);
        self
    }
}
