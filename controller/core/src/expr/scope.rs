//! What an expression can see.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// One thing outside an expression that it reads. Evaluation needs exactly these and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// `input`: the run's input.
    Input,
    /// `steps.<id>.output`: the output of a step; null when it was skipped.
    Step(String),
    /// `steps.<id>.status`: how a step ended; null when it never began.
    StepStatus(String),
    /// `vars.<name>`: a variable.
    Variable(String),
    /// `item`: the item of the `foreach` around.
    Item,
    /// `index`: the item's index.
    Index,
    /// `run`: facts about the run (`id`, `workflow` and so on).
    Run,
    /// `error`: the failure that a `catch` handles.
    Error,
}

impl fmt::Display for Reference {
    /// As it is written in an expression.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Input => f.write_str("input"),
            Reference::Step(id) if id.contains('-') => write!(f, "steps['{id}'].output"),
            Reference::Step(id) => write!(f, "steps.{id}.output"),
            Reference::StepStatus(id) if id.contains('-') => write!(f, "steps['{id}'].status"),
            Reference::StepStatus(id) => write!(f, "steps.{id}.status"),
            Reference::Variable(name) => write!(f, "vars.{name}"),
            Reference::Item => f.write_str("item"),
            Reference::Index => f.write_str("index"),
            Reference::Run => f.write_str("run"),
            Reference::Error => f.write_str("error"),
        }
    }
}

/// The values behind the references. It borrows: evaluation copies only what ends up in a result.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a> {
    values: BTreeMap<Reference, &'a Value>,
}

impl<'a> Scope<'a> {
    /// Nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value behind a reference.
    pub fn set(&mut self, reference: Reference, value: &'a Value) {
        self.values.insert(reference, value);
    }

    /// The same, for chaining.
    #[must_use]
    pub fn with(mut self, reference: Reference, value: &'a Value) -> Self {
        self.set(reference, value);
        self
    }

    /// The value behind a reference. Absent ones are an evaluation error, except inside `has()`.
    #[must_use]
    pub fn get(&self, reference: &Reference) -> Option<&'a Value> {
        self.values.get(reference).copied()
    }
}
