//! A world in memory: rows as a store would keep them, and nothing else. It checks every decision against the
//! invariants, every fence against the tasks, and every run against the fold of its whole timeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use fulcrum_core::contract::Contract;
use fulcrum_core::decide::command::{
    Approve, DecideReview, Mail, MailBody, Report, ReportOutcome, Start, TaskDue, TimerPurpose,
};
use fulcrum_core::decide::{Command, CommandKind, Decided, Inputs, JoinOutputs, Rejection, decide};
use fulcrum_core::definition::model::Definition;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::event::{Actor, Entry, Envelope, Event, Grant, StepKey};
use fulcrum_core::failure::{Failure, FailureClass};
use fulcrum_core::ids::{DefinitionHash, MailId, NamespaceId, PayloadId, ReviewId, RunId, Shard, TaskId, TimerId, WorkerId};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::{NewPayload, Payload, PayloadRef};
use fulcrum_core::run::Run;
use fulcrum_core::store::join::JoinBatch;
use fulcrum_core::store::{JoinOp, ReviewOp, ReviewRow, TimerOp, ops};
use fulcrum_core::task::{Due, Fence, Lease, NewTask, TaskOp, TaskRow, TaskState};
use fulcrum_core::time::Timestamp;
use serde_json::Value;
use uuid::Uuid;

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
    payloads: BTreeMap<PayloadId, NewPayload>,
    joins: JoinBatch,
    plans: BTreeMap<DefinitionHash, Plan>,
    workflows: BTreeMap<String, DefinitionHash>,
    grants: BTreeMap<TaskId, u64>,
    commands: u64,
    /// A commit that is being put together from several commands of one run.
    batch: Option<(RunId, Option<Decided>)>,
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
        self.plans.insert(hash, Plan::new(definition, hash, &self.limits).unwrap());
    }

    // Sending commands.

    pub(crate) fn start(&mut self, input: Value) -> Result<RunId, Rejection> {
        let run = RunId::new(self.now, Shard(3), self.commands + 1);
        self.start_as(run, "test", input)?;
        Ok(run)
    }

    pub(crate) fn start_as(&mut self, run: RunId, workflow: &str, input: Value) -> Result<(), Rejection> {
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

    pub(crate) fn send_as(&mut self, run: RunId, actor: Actor, kind: CommandKind) -> Result<(), Rejection> {
        let command = Command { run, actor, trace: None, kind };
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
        let held = self.batch.as_ref().filter(|(of, _)| *of == command.run).and_then(|(_, held)| held.as_ref());
        let run = held.map(|held| &held.run).or_else(|| self.runs.get(&command.run));
        let held_payloads = held.map(|held| &held.decision.payloads[..]).unwrap_or_default();
        let definition = match (run, &command.kind) {
            (Some(run), _) => run.origin.definition,
            (None, CommandKind::Start(start) | CommandKind::Mail { body: MailBody::Start(start), .. }) => start.definition,
            (None, _) => *self.plans.keys().next().unwrap(),
        };
        for _ in 0..10 {
            let decided = decide(run, &self.plans[&definition], command, &inputs);
            let Err(Rejection::Needs(needs)) = &decided else {
                // The same inputs give the same bytes.
                assert_eq!(decided, decide(run, &self.plans[&definition], command, &inputs));
                return decided;
            };
            for reference in &needs.payloads {
                let held = held_payloads.iter().find(|new| new.reference.id == reference.id);
                let stored = held.unwrap_or_else(|| &self.payloads[&reference.id]);
                assert_eq!(stored.payload.hash(), reference.hash);
                inputs.payloads.insert(reference.id, Arc::new(stored.payload.to_value().unwrap()));
            }
            for step in &needs.joins {
                let root = run.unwrap().origin.root;
                let key = ops::JoinKey { run: command.run, root, step: step.clone() };
                let items = self.joins.items.iter().filter(|((of, _), _)| *of == key).map(|(_, item)| item.clone());
                inputs.joins.insert(step.clone(), JoinOutputs { items: items.collect() });
            }
            for workflow in &needs.workflows {
                inputs.workflows.insert(workflow.clone(), self.workflows.get(workflow).copied());
            }
        }
        panic!("{command:?} asks for inputs for ever");
    }

    fn check_fences(&self, fences: &[Fence]) -> Result<(), Rejection> {
        for fence in fences {
            let task = self.tasks.get(&fence.lease.task);
            let leased = |task: &Task| fence.holder.is_none() || task.state == TaskState::Leased;
            let holds = task.is_some_and(|task| task.seq == fence.lease.seq && leased(task));
            if !holds {
                return Err(Rejection::LeaseLost(fence.lease.task));
            }
        }
        Ok(())
    }

    fn commit(&mut self, run: RunId, decided: Decided) {
        let Decided { decision, run: after } = decided;
        let timeline = self.timelines.entry(run).or_default();
        timeline.extend(decision.events);
        assert_eq!(Run::fold(run, timeline.iter()).as_ref(), Some(&after), "the fold of the timeline is the state");
        assert_eq!(Run::from_bytes(&after.to_bytes()).as_ref(), Ok(&after), "a snapshot gives the state back");
        self.runs.insert(run, after);
        for new in decision.payloads {
            assert_eq!(new.reference.hash, new.payload.hash());
            let id = new.reference.id;
            assert!(self.payloads.insert(id, new).is_none(), "payload {id} is made twice");
        }
        decision.tasks.into_iter().for_each(|op| self.task_op(op));
        for op in decision.timers {
            match op {
                TimerOp::Set { timer, run, root: _, step, purpose, at } => {
                    self.timers.insert(timer, Timer { run, step, purpose, at });
                }
                TimerOp::Clear { timer } => {
                    self.timers.remove(&timer);
                }
            }
        }
        for id in decision.consumed {
            self.mail.remove(&id);
        }
        for mail in decision.mail {
            self.mail.entry(mail.id).or_insert(mail);
        }
        for op in decision.joins {
            self.join_op(run, op);
        }
        for op in decision.reviews {
            match op {
                ReviewOp::Open(row) => {
                    self.reviews.insert(row.review, row);
                }
                ReviewOp::Close { review } => assert!(self.reviews.remove(&review).is_some()),
                ReviewOp::Escalate { review } => assert!(self.reviews.contains_key(&review)),
            }
        }
    }

    fn join_op(&mut self, run: RunId, op: JoinOp) {
        self.joins.apply(run, op);
        for mail in std::mem::take(&mut self.joins.mail) {
            self.mail.entry(mail.id).or_insert(mail);
        }
    }

    fn task_op(&mut self, op: TaskOp) {
        let id = op.task();
        match op {
            TaskOp::Create(new) => {
                let seq = self.grants.get(&id).copied().unwrap_or(0);
                let (ready_at, attempt) = (new.ready_at, new.attempt);
                let task = Task { new, state: TaskState::Ready, ready_at, attempt, seq, crashes: 0 };
                assert!(self.tasks.insert(id, task).is_none(), "a step has one task");
            }
            TaskOp::Remove { .. } => assert!(self.tasks.remove(&id).is_some(), "a removed task exists"),
            TaskOp::Release { ready_at, attempt, crash_count, .. } => {
                let task = self.tasks.get_mut(&id).expect("a released task exists");
                assert_eq!(task.state, TaskState::Leased);
                (task.state, task.ready_at, task.attempt, task.crashes) = (TaskState::Ready, ready_at, attempt, crash_count);
            }
            TaskOp::Park { .. } => {
                let task = self.tasks.get_mut(&id).expect("a parked task exists");
                assert_eq!(task.state, TaskState::Leased);
                task.state = TaskState::Parked;
            }
            TaskOp::Resume { .. } => {
                let task = self.tasks.get_mut(&id).expect("a resumed task exists");
                assert_eq!(task.state, TaskState::Parked);
                (task.state, task.ready_at) = (TaskState::Ready, self.now);
            }
        }
    }

    // Playing the worker.

    /// Grants the task of a step, moving the clock to when it is ready.
    pub(crate) fn grant(&mut self, run: RunId, path: &str) -> (Lease, Grant) {
        let id = TaskId::of_step(run, &StepKey::first(path).to_string());
        let task = self.tasks.get_mut(&id).unwrap_or_else(|| panic!("{path} has no task"));
        assert_eq!(task.state, TaskState::Ready, "{path} is not ready");
        self.now = self.now.max(task.ready_at);
        task.state = TaskState::Leased;
        task.seq += 1;
        self.grants.insert(id, task.seq);
        let lease = Lease { task: id, seq: task.seq, nonce: Uuid::from_u128(u128::from(task.seq)) };
        (lease, Grant { worker: worker(), lease_seq: task.seq, granted_at: self.now })
    }

    pub(crate) fn report(
        &mut self,
        run: RunId,
        path: &str,
        (lease, grant): &(Lease, Grant),
        outcome: ReportOutcome,
    ) -> Result<(), Rejection> {
        let report = Report { step: StepKey::first(path), lease: *lease, grant: grant.clone(), outcome };
        self.send_as(run, Actor::Worker(worker()), CommandKind::Report(Box::new(report)))
    }

    /// Grants a task and completes it.
    pub(crate) fn answer(&mut self, run: RunId, path: &str, output: Value) {
        let granted = self.grant(run, path);
        let output = self.payload(run, &output);
        self.report(run, path, &granted, ReportOutcome::Completed { output }).unwrap();
    }

    /// Grants a task and fails it.
    pub(crate) fn refuse(&mut self, run: RunId, path: &str, class: FailureClass) {
        let granted = self.grant(run, path);
        let failure = Failure::new(class, "BROKEN", "it broke");
        self.report(run, path, &granted, ReportOutcome::Failed { failure, details: None }).unwrap();
    }

    /// The task of a step as the reaper would see it.
    pub(crate) fn due(&mut self, run: RunId, path: &str, due: fn(Timestamp) -> Due) -> Result<(), Rejection> {
        let step = StepKey::first(path);
        let id = TaskId::of_step(run, &step.to_string());
        let row = self.row(id, due(self.now)).expect("the task exists");
        self.send(run, CommandKind::TaskDue(TaskDue { step, seen: row }))
    }

    pub(crate) fn row(&self, id: TaskId, due: Due) -> Option<TaskRow> {
        let task = self.tasks.get(&id)?;
        let granted = task.seq > 0;
        Some(TaskRow {
            task: id,
            run: task.new.run,
            root: task.new.root,
            step: task.new.step.clone(),
            state: task.state,
            attempt: task.attempt,
            lease_seq: task.seq,
            lease_nonce: granted.then(|| Uuid::from_u128(u128::from(task.seq))),
            worker: granted.then(worker),
            granted_at: granted.then_some(self.now),
            crash_count: task.crashes,
            due,
        })
    }

    // Playing the rest of the controller.

    /// Delivers mail until there is none left that can be delivered.
    pub(crate) fn deliver(&mut self) {
        loop {
            let ids: Vec<MailId> = self.mail.keys().copied().collect();
            let mut moved = false;
            for id in ids {
                moved |= self.deliver_one(id);
            }
            if !moved {
                return;
            }
        }
    }

    pub(crate) fn deliver_one(&mut self, id: MailId) -> bool {
        let Some(mail) = self.mail.get(&id).cloned() else { return false };
        match self.send_as(mail.to, Actor::Run(mail.from), CommandKind::Mail { id, body: mail.body }) {
            Ok(()) => assert!(!self.mail.contains_key(&id), "delivered mail is consumed"),
            Err(Rejection::RunNotFound(_)) => return false,
            Err(Rejection::RunClosed(_) | Rejection::Stale(_) | Rejection::AlreadyStarted(_)) => {
                self.mail.remove(&id);
            }
            Err(other) => panic!("mail is refused: {other}"),
        }
        true
    }

    pub(crate) fn fire(&mut self, id: TimerId) -> Result<(), Rejection> {
        let timer = self.timers[&id].clone();
        self.now = self.now.max(timer.at);
        let Timer { run, step, purpose, at: _ } = timer;
        let fired = self.send(run, CommandKind::TimerFired { timer: id, step, purpose });
        if let Err(Rejection::Stale(_) | Rejection::RunClosed(_)) = fired {
            self.timers.remove(&id);
        }
        fired
    }

    pub(crate) fn fire_next(&mut self) {
        let next = self.timers.iter().min_by_key(|(id, timer)| (timer.at, **id)).map(|(id, _)| *id);
        self.fire(next.expect("a timer is set")).unwrap();
    }

    pub(crate) fn signal(&mut self, run: RunId, name: &str, value: Value) -> Result<(), Rejection> {
        let payload = Some(self.payload(run, &value));
        self.send(run, CommandKind::Signal { name: name.to_owned(), payload })
    }

    pub(crate) fn cancel(&mut self, run: RunId) -> Result<(), Rejection> {
        self.send(run, CommandKind::Cancel { reason: "enough".to_owned() })
    }

    pub(crate) fn review(&mut self, run: RunId, path: &str, approve: Approve) -> Result<(), Rejection> {
        let review = ReviewId::of_step(run, &StepKey::first(path).to_string());
        let shown = self.reviews.get(&review).map_or([0; 32], |row| row.content.hash);
        let decision = DecideReview { review, approve, shown, comment: Some("seen".to_owned()) };
        self.send(run, CommandKind::DecideReview(Box::new(decision)))
    }

    // Looking.

    pub(crate) fn payload(&mut self, run: RunId, value: &Value) -> NewPayload {
        self.commands += 1;
        let mut entropy = [1; 32];
        entropy[..8].copy_from_slice(&self.commands.to_be_bytes());
        Payload::json(value).named(run, &entropy, 0)
    }

    pub(crate) fn value(&self, reference: Option<PayloadRef>) -> Value {
        reference.map_or(Value::Null, |reference| self.payloads[&reference.id].payload.to_value().unwrap())
    }

    pub(crate) fn output(&self, run: RunId, path: &str) -> Value {
        let state = self.runs[&run].step(&StepKey::first(path)).unwrap_or_else(|| panic!("{path} never began"));
        self.value(state.output)
    }

    pub(crate) fn task_input(&self, run: RunId, path: &str) -> Value {
        let id = TaskId::of_step(run, &StepKey::first(path).to_string());
        self.value(Some(self.tasks[&id].new.input))
    }

    /// The timeline in short: kinds and steps.
    pub(crate) fn story(&self, run: RunId) -> Vec<String> {
        self.timelines[&run].iter().map(|envelope| brief(&envelope.event)).collect()
    }
}

fn brief(event: &Event) -> String {
    let text = format!("{event:?}");
    let step = text.split_once("step: ").map(|(_, rest)| rest.split(['~', ',']).next().unwrap_or_default());
    match step {
        Some(step) => format!("{} {step}", event.name()),
        None => event.name().to_owned(),
    }
}

pub(crate) fn namespace() -> NamespaceId {
    NamespaceId(Uuid::from_u128(7))
}

pub(crate) fn worker() -> WorkerId {
    WorkerId(Uuid::from_u128(9))
}

/// A contract whose calls may be repeated, or not.
pub(crate) fn contract(name: &str, idempotency: fulcrum_core::contract::Idempotency) -> Arc<Contract> {
    Arc::new(Contract {
        name: name.to_owned(),
        version: "1".to_owned(),
        description: String::new(),
        input_schema: Value::Bool(true),
        output_schema: Value::Bool(true),
        effect: fulcrum_core::contract::EffectClass::Outward,
        idempotency,
        start_to_close: None,
        compiled: fulcrum_core::contract::Compiled::default(),
    })
}
