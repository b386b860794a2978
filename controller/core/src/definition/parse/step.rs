//! Steps: the keys that every step has, and finding out its kind.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::definition::diagnostic::{Code, nearest};
use crate::definition::model::{OnFailure, Retry, Step, StepKind, Timeouts};
use crate::definition::parse::fields::{At, Fields, Later};
use crate::definition::parse::kind::{self, KINDS, Kind};
use crate::definition::parse::value;
use crate::limits::Limits;

const LATER: &[Later] = &[
    Later(
        "agent",
        "; call a model's capability and shape the prompt with `with`",
    ),
    Later("cache", ""),
    Later("concurrency", "; `max_parallel` bounds a `foreach`"),
    Later("undo", "; write the way back as steps in `catch`"),
];

/// Reads blocks of steps.
pub(super) struct Steps<'l> {
    pub(super) limits: &'l Limits,
    pub(super) depth: Cell<u32>,
    pub(super) count: Cell<u32>,
    /// How many steps of a kind got an id of ours.
    pub(super) generated: RefCell<BTreeMap<&'static str, u32>>,
}

impl Steps<'_> {
    /// A list of steps.
    pub(super) fn block(&self, at: At<'_>) -> Vec<Step> {
        let Some(nodes) = at.list("a list of steps") else {
            return Vec::new();
        };
        if nodes.is_empty() {
            at.report(Code::InvalidValue, "there must be at least one step here");
        }
        self.depth.set(self.depth.get() + 1);
        let mut steps = Vec::new();
        if self.depth.get() > self.limits.definition_depth_max {
            let max = self.limits.definition_depth_max;
            at.report(
                Code::TooLarge,
                format!("blocks of steps nest deeper than {max} (definition_depth_max)"),
            );
        } else {
            for (i, node) in nodes.iter().enumerate() {
                let path = format!("{}[{i}]", at.path);
                steps.extend(self.step(At {
                    node,
                    path: &path,
                    problems: at.problems,
                }));
            }
        }
        self.depth.set(self.depth.get() - 1);
        steps
    }

    fn step(&self, at: At<'_>) -> Option<Step> {
        self.count.set(self.count.get() + 1);
        if self.count.get() == self.limits.definition_steps_max + 1 {
            let max = self.limits.definition_steps_max;
            at.report(
                Code::TooLarge,
                format!("the workflow has more than {max} steps (definition_steps_max)"),
            );
        }
        let mut fields = at.fields("a step: a mapping with a kind such as `call`")?;
        let id = fields.take("id", value::step_id);
        let found: Vec<&Kind> = KINDS.iter().filter(|kind| fields.has(kind.name)).collect();
        let (kind, step_kind) = match found.as_slice() {
            [kind] => (Some(*kind), kind.read(self, &mut fields)),
            kinds => {
                report_kinds(&fields, kinds);
                (None, None)
            }
        };
        let id = match id {
            Some(id) => id,
            None => self.generate(&fields, kind, step_kind.as_ref()),
        };
        let step = Step {
            id: id.unwrap_or_default(),
            when: fields.take("when", value::condition).flatten(),
            needs: fields.take("needs", needs).unwrap_or_default(),
            retry: fields.take("retry", |at| retry(at, self.limits)).flatten(),
            timeout: fields.take("timeout", timeout).unwrap_or_default(),
            on_failure: fields
                .take("on_failure", on_failure)
                .flatten()
                .unwrap_or(OnFailure::Fail),
            priority: fields.take("priority", priority).flatten().unwrap_or(0),
            kind: step_kind.unwrap_or(StepKind::Set {
                vars: BTreeMap::new(),
            }),
        };
        match kind {
            Some(kind) => {
                misplaced(&fields, kind, &step);
                fields.finish(&format!("a `{}` step", kind.name), LATER);
            }
            None => {
                // Which keys belong here is anybody's guess; what is not there yet is worth saying all the same.
                for key in KINDS.iter().flat_map(|kind| kind.keys) {
                    fields.take(key, |_| ());
                }
                fields.finish("a step", LATER);
            }
        }
        Some(step)
    }

    /// An id for a step that came without.
    fn generate(
        &self,
        fields: &Fields<'_>,
        kind: Option<&Kind>,
        read: Option<&StepKind>,
    ) -> Option<String> {
        match (kind, read) {
            (_, Some(StepKind::Checkpoint { name })) => {
                let plain = name.to_ascii_lowercase().replace(['.', ':'], "-");
                plain
                    .starts_with(|c: char| c.is_ascii_lowercase())
                    .then_some(plain)
            }
            (Some(kind), _) if kind.named_by_us => {
                let mut generated = self.generated.borrow_mut();
                let n = generated.entry(kind.name).or_default();
                *n += 1;
                Some(format!("{}-{n}", kind.name))
            }
            // Its name, from which the id comes, has been reported.
            (Some(kind), None) if kind.name == "checkpoint" => None,
            (Some(_), _) => {
                fields.at.report(
                    Code::MissingKey,
                    "`id` is missing: other steps and the timeline name a step by it",
                );
                None
            }
            (None, _) => None,
        }
    }
}

fn report_kinds(fields: &Fields<'_>, kinds: &[&Kind]) {
    if !kinds.is_empty() {
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        let message = format!(
            "a step does one thing, but this one has `{}`",
            names.join("` and `")
        );
        fields.at.report(Code::StepKind, message);
    } else if !fields.has("agent") {
        let names = || KINDS.iter().map(|kind| kind.name);
        // A mistyped kind is reported as the unknown key that it is.
        if fields
            .entries()
            .iter()
            .any(|(key, _)| nearest(&key.name, names()).is_some())
        {
            return;
        }
        let names: Vec<&str> = names().collect();
        let message = format!(
            "this step does nothing: give it one of `{}`",
            names.join("`, `")
        );
        fields.at.report(Code::StepKind, message);
    }
}

/// Keys that are read for every step but mean something for some kinds only.
fn misplaced(fields: &Fields<'_>, kind: &Kind, step: &Step) {
    let workers = matches!(kind.name, "call" | "run");
    if step.retry.is_some() && !workers {
        fields.at.report(
            Code::InvalidValue,
            format!(
                "`retry` is for `call` and `run`; a `{}` step is not repeated by itself",
                kind.name
            ),
        );
    }
    let attempts =
        step.timeout.start_to_close.is_some() || step.timeout.schedule_to_start.is_some();
    if attempts && kind.name != "call" {
        let message =
            "`start_to_close` and `schedule_to_start` are for `call`; use `timeout.total` here";
        fields.at.report(Code::InvalidValue, message);
    }
    if step.timeout != Timeouts::default() && kind::is_instant(&step.kind) {
        fields.at.report(
            Code::InvalidValue,
            format!(
                "a `{}` step takes no time, so it has no `timeout`",
                kind.name
            ),
        );
    }
}

fn needs(at: At<'_>) -> Vec<String> {
    let Some(nodes) = at.list("a list of ids") else {
        return Vec::new();
    };
    let ids = nodes.iter().enumerate().filter_map(|(i, node)| {
        let path = format!("{}[{i}]", at.path);
        At {
            node,
            path: &path,
            problems: at.problems,
        }
        .text("an id")
        .map(str::to_owned)
    });
    ids.collect()
}

/// Attempts alone, or the whole policy.
fn retry(at: At<'_>, limits: &Limits) -> Option<Retry> {
    use crate::definition::source::Content;
    let attempts =
        |at: At<'_>| value::whole(at, 1, u64::from(limits.retry_attempts_max)).map(narrow);
    let mut retry = Retry::default();
    if let Content::Number(_) = at.node.content {
        retry.max_attempts = attempts(at)?;
        return Some(retry);
    }
    let mut fields = at.fields("a number of attempts, or a mapping with `max_attempts`")?;
    retry.max_attempts = fields
        .take("max_attempts", attempts)
        .flatten()
        .unwrap_or(retry.max_attempts);
    retry.initial = fields
        .take("initial", value::duration)
        .flatten()
        .unwrap_or(retry.initial);
    retry.max = fields
        .take("max", value::duration)
        .flatten()
        .unwrap_or(retry.max.max(retry.initial));
    let multiplier = fields
        .take("multiplier_percent", |at| value::whole(at, 100, 1_000))
        .flatten();
    retry.multiplier_percent = multiplier.map_or(retry.multiplier_percent, narrow);
    retry.non_retryable = fields.take("non_retryable", codes).unwrap_or_default();
    fields.finish("`retry`", &[]);
    if retry.max < retry.initial {
        at.report(Code::InvalidValue, "`max` is less than `initial`");
    }
    Some(retry)
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn codes(at: At<'_>) -> Vec<String> {
    let Some(nodes) = at.list("a list of failure codes") else {
        return Vec::new();
    };
    let codes = nodes.iter().enumerate().filter_map(|(i, node)| {
        let path = format!("{}[{i}]", at.path);
        value::failure_code(At {
            node,
            path: &path,
            problems: at.problems,
        })
    });
    codes.collect()
}

/// The whole step's limit alone, or all of them.
fn timeout(at: At<'_>) -> Timeouts {
    use crate::definition::source::Content;
    match at.node.content {
        Content::Map(_) => {
            let Some(mut fields) = at.fields("a mapping") else {
                return Timeouts::default();
            };
            let timeouts = Timeouts {
                start_to_close: fields.take("start_to_close", value::duration).flatten(),
                schedule_to_start: fields.take("schedule_to_start", value::duration).flatten(),
                total: fields.take("total", value::duration).flatten(),
            };
            fields.finish("`timeout`", &[]);
            timeouts
        }
        Content::Null
        | Content::Bool(_)
        | Content::Number(_)
        | Content::Text(_)
        | Content::List(_) => Timeouts {
            total: value::duration(at),
            ..Timeouts::default()
        },
    }
}

fn on_failure(at: At<'_>) -> Option<OnFailure> {
    value::choice(
        at,
        &[("fail", OnFailure::Fail), ("continue", OnFailure::Continue)],
    )
}

fn priority(at: At<'_>) -> Option<i16> {
    use crate::definition::source::Content;
    let Content::Number(number) = &at.node.content else {
        at.wrong_type("a whole number from -100 to 100");
        return None;
    };
    let found = number
        .as_i64()
        .and_then(|n| i16::try_from(n).ok())
        .filter(|n| (-100..=100).contains(n));
    if found.is_none() {
        at.report(
            Code::InvalidValue,
            "this must be a whole number from -100 to 100",
        );
    }
    found
}
