//! Sending commands: deciding as a lane does, with whatever inputs are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use fulcrum_core::contract::Contract;
use fulcrum_core::decide::command::{Mail, MailBody, Start, TimerPurpose};
use fulcrum_core::decide::{Command, CommandKind, Decided, Inputs, JoinOutputs, Rejection, decide};
use fulcrum_core::definition::model::Definition;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::event::{Actor, Entry, Envelope, StepKey};
use fulcrum_core::ids::{
    DefinitionHash, MailId, PayloadId, ReviewId, RunId, Shard, TaskId, TimerId,
};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::NewPayload;
use fulcrum_core::run::Run;
use fulcrum_core::store::join::JoinBatch;
use fulcrum_core::store::{ReviewRow, ops};
use fulcrum_core::task::{NewTask, TaskState};
use fulcrum_core::time::Timestamp;
use serde_json::Value;

use super::namespace;

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) new: NewTask,
    pub(crate) state: TaskState,
    pub(crate) ready_at: Timestamp,
    pub(crate) attempt: u32,
    pub(crate) seq: u64,
    pub(crate) crashes: u16,
}

#[derive(Debug, Clone)]
pub(crate) struct Timer {
    pub(crate) run: RunId,
    pub(crate) step: StepKey,
    pub(crate) purpose: TimerPurpose,
    pub(crate) at: Timestamp,
}

pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) limits: Limits,
    pub(crate) contracts: BTreeMap<String, Arc<Contract>>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) timelines: BTreeMap<RunId, Vec<Envelope>>,
    pub(crate) tasks: BTreeMap<TaskId, Task>,
    pub(crate) timers: BTreeMap<TimerId, Timer>,
    pub(crate) mail: BTreeMap<MailId, Mail>,
    pub(crate) reviews: BTreeMap<ReviewId, ReviewRow>,
    pub(super) payloads: BTreeMap<PayloadId, NewPayload>,
    pub(super) joins: JoinBatch,
    pub(super) plans: BTreeMap<DefinitionHash, Plan>,
    pub(super) workflows: BTreeMap<String, DefinitionHash>,
    pub(super) grants: BTreeMap<TaskId, u64>,
    pub(super) commands: u64,
    /// A commit that is being put together from several commands of one run.
    pub(super) batch: Option<(RunId, Option<Decided>)>,
}

impl World {
    pub(crate) fn new(definition: Definition) -> Self {
        let mut world = Self {
            now: Timestamp::from_millis(1_800_000_000_000),
            limits: Limits::default(),
            contracts: BTreeMap::new(),
            runs: BTreeMap::new(),
            timelines: BTreeMap::new(),
            tasks: BTreeMap::new(),
            timers: BTreeMap::new(),
            mail: BTreeMap::new(),
            reviews: BTreeMap::new(),
            payloads: BTreeMap::new(),
            joins: JoinBatch::default(),
            plans: BTreeMap::new(),
            workflows: BTreeMap::new(),
            grants: BTreeMap::new(),
            commands: 0,
            batch: None,
        };
        world.apply(definition);
        world
    }

    pub(crate) fn apply(&mut self, definition: Definition) {
        let hash = DefinitionHash([u8::try_from(self.plans.len()).unwrap(); 32]);
        self.workflows.insert(definition.workflow.clone(), hash);
        self.plans
            .insert(hash, Plan::new(definition, hash, &self.limits).unwrap());
    }

    /// Starts a run of the workflow that the world began with.
    pub(crate) fn start(&mut self, input: Value) -> Result<RunId, Rejection> {
        let run = RunId::new(self.now, Shard(3), self.commands + 1);
        let first = self.plans.values().next().expect("there is a workflow");
        let workflow = first.workflow.clone();
        self.start_as(run, &workflow, input)?;
        Ok(run)
    }

    pub(crate) fn start_as(
        &mut self,
        run: RunId,
        workflow: &str,
        input: Value,
    ) -> Result<(), Rejection> {
        let new = self.payload(run, &input);
        let start = Start {
            namespace: namespace(),
            workflow: workflow.to_owned(),
            definition: self.workflows[workflow],
            entry: Entry::Workflow,
            root: run,
            parent: None,
            depth: 0,
            input: Some(new.reference),
            new_payload: Some(new),
            scope: BTreeMap::new(),
            idempotency_key: None,
            trace: None,
        };
        self.send(run, CommandKind::Start(Box::new(start)))
    }

    pub(crate) fn send(&mut self, run: RunId, kind: CommandKind) -> Result<(), Rejection> {
        self.send_as(run, Actor::System, kind)
    }

    pub(crate) fn send_as(
        &mut self,
        run: RunId,
        actor: Actor,
        kind: CommandKind,
    ) -> Result<(), Rejection> {
        let command = Command {
            run,
            actor,
            trace: None,
            kind,
        };
        let decided = self.decide(&command)?;
        self.check_fences(&decided.decision.fences)?;
        match &mut self.batch {
            Some((of, held)) if *of == run => match held {
                None => *held = Some(decided),
                Some(held) => {
                    held.run = decided.run;
                    held.decision.absorb(decided.decision, self.now, &held.run);
                }
            },
            _ => self.commit(run, decided),
        }
        Ok(())
    }

    /// From here on, commands to this run are put into one commit, as a lane does.
    pub(crate) fn begin_batch(&mut self, run: RunId) {
        self.batch = Some((run, None));
    }

    pub(crate) fn end_batch(&mut self) {
        if let Some((run, Some(decided))) = self.batch.take() {
            self.commit(run, decided);
        }
    }

    fn decide(&mut self, command: &Command) -> Result<Decided, Rejection> {
        self.commands += 1;
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.commands.to_be_bytes());
        let mut inputs = Inputs {
            now: self.now,
            entropy,
            payloads: BTreeMap::new(),
            joins: BTreeMap::new(),
            contracts: Arc::new(self.contracts.clone()),
            workflows: BTreeMap::new(),
            limits: self.limits,
        };
        let held = self
            .batch
            .as_ref()
            .filter(|(of, _)| *of == command.run)
            .and_then(|(_, held)| held.as_ref());
        let run = held
            .map(|held| &held.run)
            .or_else(|| self.runs.get(&command.run));
        let held_payloads = held
            .map(|held| &held.decision.payloads[..])
            .unwrap_or_default();
        let definition = match (run, &command.kind) {
            (Some(run), _) => run.origin.definition,
            (
                None,
                CommandKind::Start(start)
                | CommandKind::Mail {
                    body: MailBody::Start(start),
                    ..
                },
            ) => start.definition,
            (None, _) => *self.plans.keys().next().unwrap(),
        };
        for _ in 0..10 {
            let decided = decide(run, &self.plans[&definition], command, &inputs);
            let Err(Rejection::Needs(needs)) = &decided else {
                // The same inputs give the same bytes.
                assert_eq!(
                    decided,
                    decide(run, &self.plans[&definition], command, &inputs)
                );
                return decided;
            };
            for reference in &needs.payloads {
                let held = held_payloads
                    .iter()
                    .find(|new| new.reference.id == reference.id);
                let stored = held.unwrap_or_else(|| &self.payloads[&reference.id]);
                assert_eq!(stored.payload.hash(), reference.hash);
                inputs
                    .payloads
                    .insert(reference.id, Arc::new(stored.payload.to_value().unwrap()));
            }
            for step in &needs.joins {
                let root = run.unwrap().origin.root;
                let key = ops::JoinKey {
                    run: command.run,
                    root,
                    step: step.clone(),
                };
                let items = self
                    .joins
                    .items
                    .iter()
                    .filter(|((of, _), _)| *of == key)
                    .map(|(_, item)| item.clone());
                inputs.joins.insert(
                    step.clone(),
                    JoinOutputs {
                        items: items.collect(),
                    },
                );
            }
            for workflow in &needs.workflows {
                inputs
                    .workflows
                    .insert(workflow.clone(), self.workflows.get(workflow).copied());
            }
        }
        panic!("{command:?} asks for inputs for ever");
    }
}
