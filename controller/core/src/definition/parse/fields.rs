//! Reading a mapping: each key once, the rest reported with the nearest known one.

use std::cell::RefCell;

use crate::definition::diagnostic::{Code, DIAGNOSTICS_MAX, Diagnostic, hint};
use crate::definition::place::Place;
use crate::definition::source::{Content, Key, Node, join};

/// Where problems go.
pub(super) type Problems = RefCell<Vec<Diagnostic>>;

fn collect(problems: &Problems, problem: Diagnostic) {
    let mut problems = problems.borrow_mut();
    if problems.len() < DIAGNOSTICS_MAX {
        problems.push(problem);
    }
}

/// A value of the document with its path and the place to report to.
#[derive(Clone, Copy)]
pub(super) struct At<'n> {
    pub(super) node: &'n Node,
    pub(super) path: &'n str,
    pub(super) problems: &'n Problems,
}

impl<'n> At<'n> {
    pub(super) fn report(self, code: Code, message: impl Into<String>) {
        collect(
            self.problems,
            self.node.at.diagnostic(code, self.path, message.into()),
        );
    }

    pub(super) fn wrong_type(self, wanted: &str) {
        self.report(
            Code::WrongType,
            format!("this must be {wanted}, not {}", self.node.kind()),
        );
    }

    /// The value as a mapping, or a report.
    pub(super) fn fields(self, wanted: &str) -> Option<Fields<'n>> {
        match &self.node.content {
            Content::Map(entries) => Some(Fields {
                at: self,
                entries,
                known: Vec::new(),
            }),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::List(_) => {
                self.wrong_type(wanted);
                None
            }
        }
    }

    /// The value as a list, or a report.
    pub(super) fn list(self, wanted: &str) -> Option<&'n [Node]> {
        match &self.node.content {
            Content::List(items) => Some(items),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::Text(_)
            | Content::Map(_) => {
                self.wrong_type(wanted);
                None
            }
        }
    }

    /// The value as a text, or a report.
    pub(super) fn text(self, wanted: &str) -> Option<&'n str> {
        match &self.node.content {
            Content::Text(text) => Some(text),
            Content::Null
            | Content::Bool(_)
            | Content::Number(_)
            | Content::List(_)
            | Content::Map(_) => {
                self.wrong_type(wanted);
                None
            }
        }
    }
}

/// A mapping being read.
pub(super) struct Fields<'n> {
    pub(super) at: At<'n>,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
}

/// A key that the language will have: accepted by no version yet, so that no author believes it works.
pub(super) struct Later(pub(super) &'static str, pub(super) &'static str);

impl<'n> Fields<'n> {
    pub(super) fn entries(&self) -> &'n [(Key, Node)] {
        self.entries
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _)| key.name == name)
    }

    /// The value of a key, if it is there.
    pub(super) fn take<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(At<'_>) -> T,
    ) -> Option<T> {
        self.known.push(name);
        let (_, node) = self.entries.iter().find(|(key, _)| key.name == name)?;
        let path = join(self.at.path, name);
        Some(read(At {
            node,
            path: &path,
            problems: self.at.problems,
        }))
    }

    /// The value of a key that must be there.
    pub(super) fn need<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(At<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.take(name, read) {
            Some(value) => value,
            None => {
                self.at
                    .report(Code::MissingKey, format!("`{name}` is missing"));
                None
            }
        }
    }

    /// Reports every key that nobody took.
    pub(super) fn finish(self, inside: &str, later: &[Later]) {
        for (key, _) in self.entries {
            if self.known.contains(&key.name.as_str()) {
                continue;
            }
            if self.at.problems.borrow().len() >= DIAGNOSTICS_MAX {
                return;
            }
            let path = join(self.at.path, &key.name);
            if let Some(Later(_, instead)) = later.iter().find(|later| later.0 == key.name) {
                let message = format!("`{}` is not available in this version{instead}", key.name);
                self.report_key(key.at, Code::NotAvailable, &path, message);
            } else {
                let message = format!(
                    "{inside} has no `{}`{}",
                    key.name,
                    hint(&key.name, self.known.iter().copied())
                );
                self.report_key(key.at, Code::UnknownKey, &path, message);
            }
        }
    }

    fn report_key(&self, at: Place, code: Code, path: &str, message: String) {
        collect(self.at.problems, at.diagnostic(code, path, message));
    }
}
