//! Which steps can have closed when a step opens.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::check::Checker;
use crate::definition::diagnostic::{Code, hint};
use crate::definition::model::{Step, StepKind};
use crate::definition::walk::{self, Site};

/// What is so at a point of the workflow.
#[derive(Debug, Clone, Default)]
pub(super) struct Here<'d> {
    /// Steps that have closed, or can have.
    pub(super) closed: BTreeSet<&'d str>,
    /// Inside a `foreach`: `item` and `index` exist.
    pub(super) item: bool,
    /// Inside a `catch`: `error` exists.
    pub(super) error: bool,
}

impl<'d> Checker<'d> {
    pub(super) fn body(&mut self) {
        let end = self.sequence(&self.definition.steps, "steps", Here::default());
        if let Some(output) = &self.definition.output {
            self.site(Site::Template(output), "output", &end);
        }
    }

    /// Steps one after the other; answers what is so behind the last.
    fn sequence(&mut self, steps: &'d [Step], path: &str, mut here: Here<'d>) -> Here<'d> {
        for (i, step) in steps.iter().enumerate() {
            let path = format!("{path}[{i}]");
            if !step.needs.is_empty() {
                let message = "`needs` is for members of a `parallel`; steps here run one after the other anyway";
                self.report(Code::InvalidValue, &format!("{path}.needs"), message);
            }
            self.step(step, &path, &here);
            close(step, &mut here.closed);
        }
        here
    }

    fn step(&mut self, step: &'d Step, path: &str, here: &Here<'d>) {
        self.registered(step, path);
        let foreach_body = |here: &Here<'d>| Here {
            item: true,
            error: false,
            ..here.clone()
        };
        let mut behind_body = None;
        match &step.kind {
            StepKind::Parallel { steps } => self.members(steps, &format!("{path}.parallel"), here),
            StepKind::Foreach(foreach) => {
                let inside =
                    self.sequence(&foreach.steps, &format!("{path}.do"), foreach_body(here));
                behind_body = Some(inside);
            }
            StepKind::Switch { .. } => {
                for (key, block) in walk::blocks(step) {
                    self.sequence(block, &format!("{path}.{key}"), here.clone());
                }
            }
            StepKind::Try {
                steps,
                catch,
                finally,
            } => {
                let behind = self.sequence(steps, &format!("{path}.try"), here.clone());
                let caught = Here {
                    error: true,
                    ..behind
                };
                let behind = self.sequence(catch, &format!("{path}.catch"), caught);
                let last = Here {
                    error: here.error,
                    ..behind
                };
                self.sequence(finally, &format!("{path}.finally"), last);
            }
            StepKind::Call { .. }
            | StepKind::Review(_)
            | StepKind::Sleep { .. }
            | StepKind::Until { .. }
            | StepKind::Wait { .. }
            | StepKind::Run { .. }
            | StepKind::Checkpoint { .. }
            | StepKind::Set { .. }
            | StepKind::Return { .. }
            | StepKind::Fail { .. } => {}
        }
        for (key, site) in walk::sites(step) {
            let scope = match (&behind_body, key.as_str()) {
                (Some(inside), "output") => inside,
                _ => here,
            };
            self.site(site, &format!("{path}.{key}"), scope);
        }
    }

    /// Members of a `parallel` see what was closed before, and the siblings that they need.
    fn members(&mut self, steps: &'d [Step], path: &str, here: &Here<'d>) {
        let siblings: BTreeMap<&'d str, &'d Step> =
            steps.iter().map(|s| (s.id.as_str(), s)).collect();
        for (i, step) in steps.iter().enumerate() {
            let path = format!("{path}[{i}]");
            for (n, need) in step.needs.iter().enumerate() {
                if !siblings.contains_key(need.as_str()) {
                    let hint = hint(need, siblings.keys().copied().filter(|id| *id != step.id));
                    let message = format!("there is no `{need}` in this `parallel`{hint}");
                    self.report(Code::UnknownStep, &format!("{path}.needs[{n}]"), message);
                }
            }
            let before = needed(step, &siblings);
            if before.contains(step.id.as_str()) {
                let message = format!("`{}` needs itself, by way of {}", step.id, names(&before));
                self.report(Code::NeedsCycle, &format!("{path}.needs"), message);
            }
            let mut here = here.clone();
            for id in before.into_iter().filter(|id| *id != step.id) {
                if let Some(sibling) = siblings.get(id) {
                    close(sibling, &mut here.closed);
                }
            }
            self.step(step, &path, &here);
        }
    }
}

/// A closed step shows itself and all inside it, but for the items of a `foreach`, which are runs of their own.
fn close<'d>(step: &'d Step, closed: &mut BTreeSet<&'d str>) {
    closed.insert(&step.id);
    if matches!(step.kind, StepKind::Foreach(_)) {
        return;
    }
    for (_, block) in walk::blocks(step) {
        block.iter().for_each(|inner| close(inner, closed));
    }
}

/// All that must close before a member opens, by way of others too; itself if it is on a cycle.
fn needed<'d>(step: &'d Step, siblings: &BTreeMap<&'d str, &'d Step>) -> BTreeSet<&'d str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&'d str> = step.needs.iter().map(String::as_str).collect();
    while let Some(id) = open.pop() {
        if let Some(sibling) = siblings.get(id)
            && found.insert(id)
        {
            open.extend(sibling.needs.iter().map(String::as_str));
        }
    }
    found
}

fn names(ids: &BTreeSet<&str>) -> String {
    let quoted: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    quoted.join(", ")
}
