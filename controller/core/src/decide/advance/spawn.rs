//! Children: the steps that begin them and the mail that starts them.

use std::collections::BTreeMap;

use crate::decide::command::{MailBody, Start};
use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt};
use crate::decide::values::status_in_scope;
use crate::definition::model::{Foreach, OnItemFailure, StepKind, Template};
use crate::definition::plan::Node;
use crate::event::{Activity, Entry, Event, Fanout, ParentLink, StepKey};
use crate::expr::Reference;
use crate::failure::{Failure, code};
use crate::ids::{DefinitionHash, RunId};
use crate::payload::PayloadRef;
use crate::store::JoinOp;
use serde_json::{Value, json};

impl Desk<'_> {
    pub(super) fn open_foreach(&mut self, node: &Node, foreach: &Foreach) -> Result<(), Halt> {
        let (items, list) = self.produce_seen(node.id, &foreach.items)?;
        let Value::Array(list) = &*list else {
            let message = format!("`{}` is not a list", foreach.items.0);
            return Err(Failure::fatal(code::EXPRESSION_FAILED, message).into());
        };
        let max = self.inputs.limits.foreach_items_max;
        let total = u32::try_from(list.len()).unwrap_or(u32::MAX);
        if total > max {
            let message = format!("{} items; foreach_items_max is {max}", list.len());
            return Err(Failure::fatal(code::LIMIT_EXCEEDED, message).into());
        }
        self.check_depth()?;
        let Foreach {
            max_parallel,
            on_item_failure,
            ..
        } = *foreach;
        let scope = self.outer_scope(node)?;
        self.opened(
            &node.key,
            Activity::Foreach(Fanout {
                items,
                total,
                max_parallel,
                on_item_failure,
                scope,
            }),
        );
        if total == 0 {
            let nothing = self.store(json!([]))?;
            self.complete(&node.key, Some(nothing), None);
            return Ok(());
        }
        self.spawn(&node.key)
    }

    pub(super) fn open_run(
        &mut self,
        node: &Node,
        workflow: &str,
        with: &Template,
    ) -> Result<(), Halt> {
        self.check_depth()?;
        let input = self.produce(Some(node.id), with)?;
        let definition = match self.inputs.workflows.get(workflow) {
            Some(Some(definition)) => *definition,
            Some(None) => {
                let message = format!("there is no workflow `{workflow}`");
                return Err(Failure::fatal(code::UNKNOWN_WORKFLOW, message).into());
            }
            None => {
                self.needs.workflows.insert(workflow.to_owned());
                return Err(self.missing());
            }
        };
        let key = &node.key;
        let run = self.child_of(key, 0);
        self.opened(
            key,
            Activity::Child {
                workflow: workflow.to_owned(),
                definition,
                run,
            },
        );
        self.spawn_child(key, 0, workflow, definition, input);
        Ok(())
    }

    /// Starts the child of a `run` step's next attempt. Attempts are counted by the children's indices, so each is a
    /// run of its own, with the version pinned by the first and an input made of the values as they are now.
    pub(in crate::decide) fn spawn_again(&mut self, step: &StepKey) -> Result<(), Rejection> {
        let result = self.try_spawn_again(step);
        self.or_fail(step, result)
    }

    fn try_spawn_again(&mut self, step: &StepKey) -> Result<(), Halt> {
        let (Some(state), Some(node)) = (self.run.step(step), self.plan.at(&step.path)) else {
            return Ok(());
        };
        let (Some(Activity::Child { definition, .. }), StepKind::Run { workflow, with }) =
            (&state.activity, &node.step.kind)
        else {
            return Ok(());
        };
        let (definition, index) = (*definition, state.join.spawned);
        let input = self.produce(Some(node.id), with)?;
        self.spawn_child(step, index, workflow, definition, input);
        Ok(())
    }

    fn spawn_child(
        &mut self,
        step: &StepKey,
        index: u32,
        workflow: &str,
        definition: DefinitionHash,
        input: Option<PayloadRef>,
    ) {
        let to = index + 1;
        self.emit(Event::ItemsSpawned {
            step: step.clone(),
            from: index,
            to,
        });
        let key = self.join_key(step);
        self.decision.joins.push(match index {
            0 => JoinOp::Open {
                key,
                notify_at: to,
                notify_on_failure: false,
            },
            _ => JoinOp::NotifyAt { key, notify_at: to },
        });
        let start = Start {
            input,
            ..self.child_start(step, index, workflow, definition, Entry::Workflow)
        };
        let child = self.child_of(step, index);
        self.send(child, "start", 0, MailBody::Start(Box::new(start)));
    }

    /// Starts as many children of a fan-out as may run now and as one commit holds.
    pub(super) fn spawn(&mut self, step: &StepKey) -> Result<(), Halt> {
        let Some(state) = self.run.step(step) else {
            return Ok(());
        };
        let Some(Activity::Foreach(fanout)) = &state.activity else {
            return Ok(());
        };
        let (join, fanout) = (state.join, fanout.clone());
        let left = fanout.total.saturating_sub(join.spawned);
        let room = match fanout.max_parallel {
            0 => left,
            max => max
                .saturating_sub(join.spawned.saturating_sub(join.closed))
                .min(left),
        };
        let count = room.min(self.inputs.limits.spawn_batch_max.max(1));
        if count == 0 {
            return Ok(());
        }
        let list = self.value_of(Some(fanout.items))?;
        let Value::Array(list) = &*list else {
            return Ok(());
        };
        let (from, to) = (join.spawned, join.spawned + count);
        self.emit(Event::ItemsSpawned {
            step: step.clone(),
            from,
            to,
        });
        let (workflow, definition) = (self.run.origin.workflow.clone(), self.run.origin.definition);
        for index in from..to {
            let item = self.store(list.get(index as usize).cloned().unwrap_or_default())?;
            let mut scope = fanout.scope.clone();
            scope.insert("item".to_owned(), item);
            let entry = Entry::Item {
                path: step.path.clone(),
                index,
            };
            let input = self.run.origin.input;
            let start = Start {
                input,
                scope,
                ..self.child_start(step, index, &workflow, definition, entry)
            };
            self.send(
                self.child_of(step, index),
                "start",
                0,
                MailBody::Start(Box::new(start)),
            );
        }
        let notify_at = notify_at(&fanout, to);
        let key = self.join_key(step);
        let notify_on_failure = match fanout.on_item_failure {
            OnItemFailure::Fail => true,
            OnItemFailure::Continue => false,
        };
        self.decision.joins.push(match from {
            0 => JoinOp::Open {
                key,
                notify_at,
                notify_on_failure,
            },
            _ => JoinOp::NotifyAt { key, notify_at },
        });
        if count < room {
            self.continue_later();
        }
        Ok(())
    }

    /// The id of a step's child.
    pub(super) fn child_of(&self, step: &StepKey, index: u32) -> RunId {
        RunId::child(self.run.id, &step.to_string(), index)
    }

    fn child_start(
        &self,
        step: &StepKey,
        index: u32,
        workflow: &str,
        definition: DefinitionHash,
        entry: Entry,
    ) -> Start {
        let origin = &self.run.origin;
        Start {
            namespace: origin.namespace,
            workflow: workflow.to_owned(),
            definition,
            entry,
            root: origin.root,
            parent: Some(ParentLink {
                run: self.run.id,
                step: step.clone(),
                index,
            }),
            depth: origin.depth + 1,
            input: None,
            new_payload: None,
            scope: BTreeMap::new(),
            idempotency_key: None,
            trace: origin.trace,
        }
    }

    fn check_depth(&self) -> Result<(), Box<Failure>> {
        let max = self.inputs.limits.run_depth_max;
        if self.run.origin.depth < max {
            return Ok(());
        }
        let message = format!("runs nest deeper than {max}; run_depth_max is {max}");
        Err(Failure::fatal(code::LIMIT_EXCEEDED, message).into())
    }

    /// The values around a `foreach` that its body reads, as they are now.
    fn outer_scope(&mut self, node: &Node) -> Result<BTreeMap<String, PayloadRef>, Box<Failure>> {
        let mut scope = BTreeMap::new();
        for reference in node.outer() {
            let name = match reference {
                Reference::Step(name) => format!("steps.{name}"),
                Reference::StepStatus(name) => status_in_scope(name),
                Reference::Variable(name) => format!("vars.{name}"),
                Reference::Input
                | Reference::Item
                | Reference::Index
                | Reference::Run
                | Reference::Error => continue,
            };
            if let Some(payload) = self.stored_behind(reference)? {
                scope.insert(name, payload);
            }
        }
        Ok(scope)
    }
}

/// At how many closed children this run wants to hear of its join: when half of the places are free, so that places
/// are filled in batches, or when all have closed.
fn notify_at(fanout: &Fanout, spawned: u32) -> u32 {
    if fanout.max_parallel == 0 || spawned == fanout.total {
        return fanout.total;
    }
    spawned.saturating_sub(fanout.max_parallel / 2).max(1)
}
