//! The canonical model of a workflow. Serialized as JSON it is what is hashed and stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::time::Millis;

/// The language version that this crate reads and writes; part of the definition hash.
pub const LANGUAGE_VERSION: u16 = 1;

/// A workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Language version.
    pub language: u16,
    /// Lower-case words joined by `-`, at most 128 bytes.
    pub workflow: String,
    /// For people.
    pub description: Option<String>,
    /// JSON Schema of the input; anything goes when absent.
    pub input: Option<Value>,
    /// The body.
    pub steps: Vec<Step>,
    /// Computed when the body has completed; null when absent.
    pub output: Option<Template>,
}

/// One step. `id` is unique in the whole definition, so `steps.<id>` is never ambiguous.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// `[a-z][a-z0-9_-]*`, at most 64 bytes. A checkpoint's id is its name when none is given.
    pub id: String,
    /// What it does.
    pub kind: StepKind,
    /// Skipped unless this is true. A skipped step's output is null.
    pub when: Option<Expr>,
    /// For members of a `parallel`: ids of siblings that must close first.
    pub needs: Vec<String>,
    /// How failed attempts are retried; `call` and `run` only.
    pub retry: Option<Retry>,
    /// Time limits.
    pub timeout: Timeouts,
    /// What a failure of this step does to its surroundings.
    pub on_failure: OnFailure,
    /// Higher is sooner; -100 to 100.
    pub priority: i16,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Calls a capability on a worker.
    Call { capability: String, with: Template },
    /// Asks a person.
    Review(Review),
    /// Waits for a span: a template that gives a duration text (`2d`, `1h 30m`) or a number of seconds.
    Sleep { span: Template },
    /// Waits for an instant: a template that gives an RFC 3339 text.
    Until { at: Template },
    /// Waits for a signal to this run; the output is the signal's payload. Its limit is `timeout.total`.
    Wait { signal: String },
    /// Runs members side by side; the output maps id to output.
    Parallel { steps: Vec<Step> },
    /// Runs the body once per item, each item a child run; the output lists the items' outputs in order.
    Foreach(Foreach),
    /// Runs the first case whose condition holds, else the default; the output is the last step's.
    Switch {
        cases: Vec<Case>,
        default: Vec<Step>,
    },
    /// Runs the body; on failure the `catch` steps, with `error` in scope; `finally` in any case, cancellation included.
    Try {
        steps: Vec<Step>,
        catch: Vec<Step>,
        finally: Vec<Step>,
    },
    /// Runs another workflow as a child; the output is its output.
    Run { workflow: String, with: Template },
    /// Names this position of the run.
    Checkpoint { name: String },
    /// Sets variables, seen as `vars.<name>` from here on.
    Set { vars: BTreeMap<String, Template> },
    /// Ends the run (or the item, in a `foreach`) with this output. `finally` blocks still run.
    Return { value: Template },
    /// Fails here.
    Fail { code: String, message: Template },
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// What is asked, in one line.
    pub title: Template,
    /// What the decision is about; the step's output when approved (or the edited version).
    pub show: Template,
    /// May the person edit what is shown?
    pub edit: bool,
    /// How long the question stands; for ever when absent.
    pub expires: Option<Millis>,
    /// What happens when it expires.
    pub on_expiry: OnExpiry,
    /// What happens when the person says no.
    pub on_reject: OnReject,
}

/// What an expired review does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// The step fails with `REVIEW_EXPIRED`.
    Fail,
    /// As if approved unchanged.
    Approve,
    /// As if rejected.
    Reject,
    /// Stays open and is marked as escalated on the timeline and in the inbox.
    Escalate,
}

/// What a rejection does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReject {
    /// The step fails with `REJECTED`.
    Fail,
    /// The step completes with output null.
    Continue,
}

/// A fan-out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Foreach {
    /// Must give a list.
    pub items: Expr,
    /// How many items run at once; 0 means no cap of its own.
    pub max_parallel: u32,
    /// The body of one item; sees `item` and `index` and the outer values as they were at the spawn.
    pub steps: Vec<Step>,
    /// The item's output; the last step's output when absent.
    pub output: Option<Template>,
    /// What a failed item does.
    pub on_item_failure: OnItemFailure,
}

/// What a failed item does to its `foreach`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnItemFailure {
    /// Remaining items are not started, running ones are cancelled, and the step fails.
    Fail,
    /// The item's output is null and the others go on.
    Continue,
}

/// One case of a `switch`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The condition.
    pub when: Expr,
    /// The branch.
    pub steps: Vec<Step>,
}

/// What a step's failure does to the block around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The block fails.
    Fail,
    /// The step's output is null and the block goes on.
    Continue,
}

/// Retry policy: exponential with full jitter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// Ceiling of the first delay.
    pub initial: Millis,
    /// Ceiling of any delay.
    pub max: Millis,
    /// Growth of the ceiling, in percent; 200 doubles it.
    pub multiplier_percent: u32,
    /// Failure codes that are never retried.
    pub non_retryable: Vec<String>,
}

/// Time limits of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timeouts {
    /// One attempt, from its grant to its report. Stands still while parked.
    pub start_to_close: Option<Millis>,
    /// From ready to granted.
    pub schedule_to_start: Option<Millis>,
    /// The whole step over all attempts; for `wait` the time until it gives up.
    pub total: Option<Millis>,
}

/// CEL text without the `${ }`, checked when the definition is parsed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Expr(pub String);

/// A JSON value with expressions in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Template {
    /// A value without expressions.
    Literal(Value),
    /// A text that is one expression: gives the expression's value, of any type.
    Expr(Expr),
    /// A text with expressions inside: gives a text.
    Text(Vec<TextPart>),
    /// A list.
    List(Vec<Template>),
    /// An object.
    Object(BTreeMap<String, Template>),
}

/// A piece of a text with expressions inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPart {
    /// As it stands.
    Text(String),
    /// The value's text: strings as they are, null as nothing, everything else as JSON.
    Expr(Expr),
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            initial: Millis(1_000),
            max: Millis(60_000),
            multiplier_percent: 200,
            non_retryable: Vec::new(),
        }
    }
}
