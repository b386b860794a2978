//! A definition made ready for deciding: the tree of steps flattened into nodes, ids resolved, expressions parsed.
//!
//! The run machine asks a plan for a node's parent, siblings and lists; all of these are look-ups, so that the cost of
//! a decision follows what changes and not the length of the workflow.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Validator;
use serde_json::Value;

use crate::definition::model::{Definition, Step, StepKind, Template};
use crate::definition::walk::{self, Site};
use crate::event::{Entry, StepKey};
use crate::expr::{Expressions, Reference};
use crate::ids::DefinitionHash;
use crate::limits::Limits;

/// The place of a node in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

/// In which list of its parent a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The workflow's own steps.
    Body,
    /// A member of a `parallel`.
    Member,
    /// The branch of a `switch` case.
    Case(u16),
    /// The default branch of a `switch`.
    Default,
    /// What a `try` tries.
    TryBody,
    /// What a `try` does on failure.
    Catch,
    /// What a `try` does in any case.
    Finally,
    /// The body of a `foreach`; runs in a child run.
    ItemBody,
}

/// One step of the definition, in its place.
#[derive(Debug)]
pub struct Node {
    /// Its place in the plan.
    pub id: NodeId,
    /// The key of its first instance: the path of ids from the root.
    pub key: StepKey,
    /// The step; the lists of nested steps have moved to [`Plan::list`].
    pub step: Step,
    /// The step around it.
    pub parent: Option<NodeId>,
    /// The list of the parent that it is in.
    pub slot: Slot,
    /// The sibling after it, unless it is a member of a `parallel`.
    pub next: Option<NodeId>,
    lists: Vec<(Slot, Vec<NodeId>)>,
    outer: BTreeSet<Reference>,
}

impl Node {
    /// The step's id.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.step.id
    }

    /// The lists of steps that it has, in the order of the language.
    pub fn slots(&self) -> impl DoubleEndedIterator<Item = Slot> {
        self.lists.iter().map(|(slot, _)| *slot)
    }

    /// For a `foreach`: the steps and variables around it that its body reads.
    #[must_use]
    pub fn outer(&self) -> &BTreeSet<Reference> {
        &self.outer
    }
}

/// Why a stored definition cannot be made into a plan. [`check`](super::check) refuses such definitions, so this means
/// that it was stored under other limits or by a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("definition cannot be planned: {path}: {problem}")]
pub struct PlanError {
    /// The step, or `input`, or `output`.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

/// A definition made ready for deciding. Immutable; share it between runs.
#[derive(Debug)]
pub struct Plan {
    /// The workflow's name.
    pub workflow: String,
    /// The version.
    pub hash: DefinitionHash,
    /// The workflow's output.
    pub output: Option<Template>,
    input: Option<Validator>,
    nodes: Vec<Node>,
    body: Vec<NodeId>,
    by_path: BTreeMap<String, NodeId>,
    by_name: BTreeMap<String, NodeId>,
    expressions: Expressions,
}

impl Plan {
    /// Flattens a checked definition.
    pub fn new(
        definition: Definition,
        hash: DefinitionHash,
        limits: &Limits,
    ) -> Result<Self, PlanError> {
        let input = definition
            .input
            .as_ref()
            .map(validator)
            .transpose()
            .map_err(|problem| at("input", problem))?;
        let expressions =
            Expressions::of(&definition, limits).map_err(|e| at("an expression", e.to_string()))?;
        let mut plan = Self {
            workflow: definition.workflow,
            hash,
            output: definition.output,
            input,
            nodes: Vec::new(),
            body: Vec::new(),
            by_path: BTreeMap::new(),
            by_name: BTreeMap::new(),
            expressions,
        };
        plan.body = plan.add_list(definition.steps, None, Slot::Body);
        plan.resolve_outer();
        Ok(plan)
    }

    /// The node with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// The node at a path; `None` for operations of a journal.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Node> {
        self.by_path.get(path).map(|id| self.node(*id))
    }

    /// The node of a step id.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Node> {
        self.by_name.get(name).map(|id| self.node(*id))
    }

    /// All nodes, parents before children.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// One of a node's lists of steps, in order; empty if it has none.
    #[must_use]
    pub fn list(&self, parent: Option<NodeId>, slot: Slot) -> &[NodeId] {
        match parent {
            None => &self.body,
            Some(id) => self
                .node(id)
                .lists
                .iter()
                .find(|(s, _)| *s == slot)
                .map_or(&[], |(_, list)| list),
        }
    }

    /// The sequence that a run with this entry walks. `None` if the definition has no such entry.
    #[must_use]
    pub fn entry(&self, entry: &Entry) -> Option<(Option<NodeId>, Slot)> {
        match entry {
            Entry::Workflow => Some((None, Slot::Body)),
            Entry::Item { path, .. } => {
                let node = self.at(path)?;
                matches!(node.step.kind, StepKind::Foreach(_))
                    .then_some((Some(node.id), Slot::ItemBody))
            }
        }
    }

    /// The parsed expressions of this definition.
    #[must_use]
    pub fn expressions(&self) -> &Expressions {
        &self.expressions
    }

    /// Does the input fit the workflow's schema? Says where it does not.
    pub fn check_input(&self, input: &Value) -> Result<(), String> {
        match &self.input {
            None => Ok(()),
            Some(schema) => crate::contract::first_problem(schema, input),
        }
    }

    /// Is there a schema to check the input against?
    #[must_use]
    pub fn has_input_schema(&self) -> bool {
        self.input.is_some()
    }

    fn add_list(&mut self, steps: Vec<Step>, parent: Option<NodeId>, slot: Slot) -> Vec<NodeId> {
        let ids: Vec<NodeId> = steps
            .into_iter()
            .map(|step| self.add(step, parent, slot))
            .collect();
        if slot != Slot::Member {
            for pair in ids.windows(2) {
                self.nodes[pair[0].0 as usize].next = Some(pair[1]);
            }
        }
        ids
    }

    fn add(&mut self, mut step: Step, parent: Option<NodeId>, slot: Slot) -> NodeId {
        let id =
            NodeId(u32::try_from(self.nodes.len()).expect("a definition has a bounded length"));
        let path = match parent {
            None => step.id.clone(),
            Some(p) => format!("{}/{}", self.node(p).key.path, step.id),
        };
        let nested = take_lists(&mut step.kind);
        self.by_path.insert(path.clone(), id);
        self.by_name.insert(step.id.clone(), id);
        let (lists, outer) = (Vec::new(), BTreeSet::new());
        self.nodes.push(Node {
            id,
            key: StepKey::first(path),
            step,
            parent,
            slot,
            next: None,
            lists,
            outer,
        });
        for (slot, steps) in nested {
            let list = self.add_list(steps, Some(id), slot);
            self.nodes[id.0 as usize].lists.push((slot, list));
        }
        id
    }

    /// Collects what each `foreach` body reads from around it.
    fn resolve_outer(&mut self) {
        for index in 0..self.nodes.len() {
            let StepKind::Foreach(foreach) = &self.nodes[index].step.kind else {
                continue;
            };
            let inner = index + 1..self.end_of(index);
            let mut reads = BTreeSet::new();
            for node in &self.nodes[inner.clone()] {
                for (_, site) in walk::sites(&node.step) {
                    reads.extend(self.references(site));
                }
            }
            if let Some(output) = &foreach.output {
                reads.extend(self.expressions.template_references(output));
            }
            let outer = reads.into_iter().filter(|reference| match reference {
                Reference::Step(name) | Reference::StepStatus(name) => !self
                    .by_name
                    .get(name)
                    .is_some_and(|id| inner.contains(&(id.0 as usize))),
                Reference::Variable(_) => true,
                Reference::Input
                | Reference::Item
                | Reference::Index
                | Reference::Run
                | Reference::Error => false,
            });
            self.nodes[index].outer = outer.collect();
        }
    }

    /// Does anything in the definition read the output of the step at this path?
    #[must_use]
    pub fn reads_output_of(&self, path: &str) -> bool {
        let Some(node) = self.at(path) else {
            return false;
        };
        let reference = Reference::Step(node.step.id.clone());
        let of_result = self.output.iter();
        let of_items = self.nodes.iter().filter_map(|node| {
            let StepKind::Foreach(foreach) = &node.step.kind else {
                return None;
            };
            foreach.output.as_ref()
        });
        let mut templates = of_result.chain(of_items);
        let mut sites = self.nodes.iter().flat_map(|node| walk::sites(&node.step));
        templates.any(|template| {
            self.expressions
                .template_references(template)
                .contains(&reference)
        }) || sites.any(|(_, site)| self.references(site).contains(&reference))
    }

    fn references(&self, site: Site<'_>) -> BTreeSet<Reference> {
        match site {
            Site::Template(template) => self.expressions.template_references(template),
            Site::Expr(expr) => self.expressions.references(expr),
        }
    }

    /// Nodes are in depth-first order: the subtree of a node is a range.
    fn end_of(&self, index: usize) -> usize {
        let prefix = format!("{}/", self.nodes[index].key.path);
        let inner = self.nodes[index + 1..]
            .iter()
            .take_while(|n| n.key.path.starts_with(&prefix))
            .count();
        index + 1 + inner
    }
}

/// Compiles a JSON Schema.
pub(crate) fn validator(schema: &Value) -> Result<Validator, String> {
    crate::definition::json_schema::validator(schema).map_err(|problem| problem.message)
}

fn at(path: &str, problem: String) -> PlanError {
    PlanError {
        path: path.to_owned(),
        problem,
    }
}

fn take_lists(kind: &mut StepKind) -> Vec<(Slot, Vec<Step>)> {
    use std::mem::take;
    match kind {
        StepKind::Parallel { steps } => vec![(Slot::Member, take(steps))],
        StepKind::Foreach(foreach) => vec![(Slot::ItemBody, take(&mut foreach.steps))],
        StepKind::Switch { cases, default } => {
            let branches = cases
                .iter_mut()
                .zip(0u16..)
                .map(|(case, n)| (Slot::Case(n), take(&mut case.steps)));
            branches.chain([(Slot::Default, take(default))]).collect()
        }
        StepKind::Try {
            steps,
            catch,
            finally,
        } => {
            vec![
                (Slot::TryBody, take(steps)),
                (Slot::Catch, take(catch)),
                (Slot::Finally, take(finally)),
            ]
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
        | StepKind::Fail { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::model::{
        Expr, Foreach, LANGUAGE_VERSION, OnFailure, OnItemFailure, Timeouts,
    };

    fn step(id: &str, kind: StepKind) -> Step {
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

    fn call(id: &str, with: &str) -> Step {
        let with = Template::Expr(Expr(with.to_owned()));
        step(
            id,
            StepKind::Call {
                capability: "x".to_owned(),
                with,
            },
        )
    }

    fn plan(steps: Vec<Step>, input: Option<Value>) -> Plan {
        let definition = Definition {
            language: LANGUAGE_VERSION,
            workflow: "w".to_owned(),
            description: None,
            input,
            steps,
            output: None,
        };
        Plan::new(definition, DefinitionHash([0; 32]), &Limits::default()).unwrap()
    }

    fn each(id: &str, steps: Vec<Step>) -> Step {
        let items = Expr("[1]".to_owned());
        let on_item_failure = OnItemFailure::Fail;
        let foreach = Foreach {
            items,
            max_parallel: 0,
            steps,
            output: None,
            on_item_failure,
        };
        step(id, StepKind::Foreach(foreach))
    }

    #[test]
    fn nodes_know_their_place() {
        let block = StepKind::Try {
            steps: vec![call("a", "1"), call("b", "1")],
            catch: vec![call("c", "1")],
            finally: Vec::new(),
        };
        let members = StepKind::Parallel {
            steps: vec![call("m", "1"), call("n", "1")],
        };
        let plan = plan(vec![step("t", block), step("p", members)], None);
        let named = |name: &str| plan.named(name).unwrap();
        assert_eq!(named("b").key.to_string(), "t/b~1");
        assert_eq!(plan.at("t/c").unwrap().slot, Slot::Catch);
        assert_eq!(named("a").next, Some(named("b").id));
        assert_eq!((named("b").next, named("m").next), (None, None));
        assert_eq!(named("t").next, Some(named("p").id));
        assert_eq!(
            plan.list(Some(named("t").id), Slot::TryBody),
            [named("a").id, named("b").id]
        );
        assert_eq!(plan.list(None, Slot::Body).len(), 2);
        assert!(
            plan.entry(&Entry::Item {
                path: "t".to_owned(),
                index: 0
            })
            .is_none()
        );
    }

    #[test]
    fn a_foreach_knows_what_its_body_reads_from_around_it_nested_bodies_included() {
        let inner = each(
            "inner",
            vec![call("deep", "[steps.top.output, steps.own.output, item]")],
        );
        let body = vec![call("own", "vars.v"), inner];
        let plan = plan(vec![call("top", "1"), each("outer", body)], None);
        let outer = |name: &str| {
            plan.named(name)
                .unwrap()
                .outer()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(outer("outer"), ["steps.top.output", "vars.v"]);
        assert_eq!(outer("inner"), ["steps.own.output", "steps.top.output"]);
        assert!(
            plan.entry(&Entry::Item {
                path: "outer/inner".to_owned(),
                index: 0
            })
            .is_some()
        );
    }

    #[test]
    fn an_input_is_checked_against_the_schema_if_there_is_one() {
        let plan = plan(vec![call("a", "1")], Some(json!({ "type": "integer" })));
        assert_eq!(plan.check_input(&json!(1)), Ok(()));
        assert!(
            plan.check_input(&json!("x"))
                .unwrap_err()
                .contains("integer")
        );
    }
}
