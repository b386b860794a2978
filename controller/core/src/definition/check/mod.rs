//! What the form of a definition cannot tell: do its names mean something, and can its values be there in time?
//!
//! [`check`] finds all problems in one walk. The walk carries which steps can have closed at each point (`order`),
//! so that an expression is never evaluated before what it reads; the expressions themselves are checked in `names`,
//! the input's schema in `input`, calls against contracts in `contract`.

mod contract;
mod input;
mod names;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::definition::diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic};
use crate::definition::model::{Definition, Step};
use crate::definition::place::SourceMap;
use crate::definition::walk;
use crate::limits::Limits;

/// What a definition is checked against.
#[derive(Debug, Clone, Copy)]
pub struct CheckContext<'c> {
    /// Input schemas of the registered capabilities, by name. `None` when nobody knows: then no capability is checked.
    pub capabilities: Option<&'c BTreeMap<String, Value>>,
    /// Names of the stored workflows. `None` when nobody knows.
    pub workflows: Option<&'c BTreeSet<String>>,
    /// What to do about names that are not registered.
    pub unregistered: Unregistered,
    /// Limits in force.
    pub limits: &'c Limits,
}

/// What to do about capabilities and workflows that are not registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unregistered {
    /// They are errors.
    Refuse,
    /// They may come later: `--allow-unregistered`.
    Allow,
}

/// Checks a parsed definition; nothing in the answer means that it can run.
#[must_use]
pub fn check(
    definition: &Definition,
    source: &SourceMap,
    context: &CheckContext<'_>,
) -> Vec<Diagnostic> {
    let mut checker = Checker {
        definition,
        source,
        context,
        steps: BTreeMap::new(),
        variables: BTreeSet::new(),
        problems: Vec::new(),
    };
    checker.register(&definition.steps, "steps", &mut Vec::new());
    checker.input();
    checker.body();
    checker.problems.sort();
    checker.problems.dedup();
    checker.problems
}

struct Checker<'d> {
    definition: &'d Definition,
    source: &'d SourceMap,
    context: &'d CheckContext<'d>,
    steps: BTreeMap<&'d str, Known<'d>>,
    variables: BTreeSet<&'d str>,
    problems: Vec<Diagnostic>,
}

/// Where a step stands.
struct Known<'d> {
    /// The steps around it, from the outside in, each with whether it is a `foreach`.
    around: Vec<(&'d str, bool)>,
}

impl<'d> Checker<'d> {
    fn report(&mut self, code: Code, path: &str, message: impl Into<String>) {
        let place = self.source.locate(path);
        self.collect(place.diagnostic(code, path, message.into()));
    }

    fn collect(&mut self, problem: Diagnostic) {
        if !self.is_full() {
            self.problems.push(problem);
        }
    }

    /// Enough has been found.
    fn is_full(&self) -> bool {
        self.problems.len() >= DIAGNOSTICS_MAX
    }

    /// Notes every step and variable, and finds ids that are given twice.
    fn register(&mut self, steps: &'d [Step], path: &str, around: &mut Vec<(&'d str, bool)>) {
        for (i, step) in steps.iter().enumerate() {
            let path = format!("{path}[{i}]");
            // A step whose id could not be read has been reported already.
            if !step.id.is_empty()
                && self
                    .steps
                    .insert(
                        &step.id,
                        Known {
                            around: around.clone(),
                        },
                    )
                    .is_some()
            {
                let message = format!(
                    "there is another step with the id `{}`; ids are unique in a workflow",
                    step.id
                );
                self.report(Code::DuplicateId, &format!("{path}.id"), message);
            }
            if let crate::definition::model::StepKind::Set { vars } = &step.kind {
                self.variables.extend(vars.keys().map(String::as_str));
            }
            let foreach = matches!(step.kind, crate::definition::model::StepKind::Foreach(_));
            around.push((&step.id, foreach));
            for (key, block) in walk::blocks(step) {
                self.register(block, &format!("{path}.{key}"), around);
            }
            around.pop();
        }
    }
}

#[cfg(test)]
mod tests;
