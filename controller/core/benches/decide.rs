//! What deciding costs: a run of a hundred steps from its start to its end, every command decided and folded as a lane
//! does it, with nothing committed. Divide by a hundred for one step; it is to stay below ten microseconds.
//!
//! Inputs that a decision asks for are handed in by a second call, as the shell does when it has not foreseen them.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::Criterion;
use fulcrum_core::contract::{Compiled, Contract, EffectClass, Idempotency};
use fulcrum_core::decide::command::{Report, ReportOutcome, Start};
use fulcrum_core::decide::{Command, CommandKind, Inputs, Rejection, decide};
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::definition::{CheckContext, Unregistered, compile};
use fulcrum_core::event::{Actor, Entry, Grant, StepKey};
use fulcrum_core::ids::{NamespaceId, PayloadId, RunId, Shard, TaskId, WorkerId};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::{NewPayload, Payload};
use fulcrum_core::run::Run;
use fulcrum_core::task::Lease;
use fulcrum_core::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

const STEPS: u32 = 100;

fn main() {
    let script = Script::write();
    let played = script.play();
    assert!(
        played.is_some_and(|run| run.is_closed()),
        "the script leads to the run's end"
    );
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("decide_100_steps", |bencher| {
        bencher.iter(|| black_box(script.play()));
    });
    criterion.final_summary();
}

/// Everything that happens to one run, prepared beforehand.
struct Script {
    plan: Plan,
    commands: Vec<Command>,
    payloads: BTreeMap<PayloadId, Arc<Value>>,
    contracts: Arc<BTreeMap<String, Arc<Contract>>>,
}

impl Script {
    fn write() -> Self {
        let limits = Limits::default();
        let context = CheckContext {
            capabilities: None,
            workflows: None,
            unregistered: Unregistered::Allow,
            limits: &limits,
        };
        let (definition, hash) = compile(&workflow(), &context).expect("the workflow is right");
        let plan = Plan::new(definition, hash, &limits).expect("a checked definition has a plan");
        let mut script = Self {
            plan,
            commands: Vec::new(),
            payloads: BTreeMap::new(),
            contracts: Arc::new(BTreeMap::from([("bench.echo".to_owned(), contract())])),
        };
        let run = RunId::new(now(), Shard(3), 1);
        script.add(run, Actor::System, |script| script.start(run));
        for step in 0..STEPS {
            let worker = Actor::Worker(WorkerId(Uuid::from_u128(9)));
            script.add(run, worker, |script| script.report(run, step));
        }
        script
    }

    fn add(&mut self, run: RunId, actor: Actor, kind: impl FnOnce(&mut Self) -> CommandKind) {
        let kind = kind(self);
        self.commands.push(Command {
            run,
            actor,
            trace: None,
            kind,
        });
    }

    fn start(&mut self, run: RunId) -> CommandKind {
        let input = self.payload(run, &json!({ "n": 0, "text": "x".repeat(1_000) }));
        CommandKind::Start(Box::new(Start {
            namespace: NamespaceId(Uuid::from_u128(7)),
            workflow: self.plan.workflow.clone(),
            definition: self.plan.hash,
            entry: Entry::Workflow,
            root: run,
            parent: None,
            depth: 0,
            input: Some(input.reference),
            new_payload: Some(input),
            scope: BTreeMap::new(),
            idempotency_key: None,
            trace: None,
        }))
    }

    fn report(&mut self, run: RunId, step: u32) -> CommandKind {
        let output = self.payload(run, &json!({ "n": step + 1, "text": "y".repeat(200) }));
        let step = StepKey::first(format!("s{step}"));
        let lease = Lease {
            task: TaskId::of_step(run, &step.to_string()),
            seq: 1,
            nonce: Uuid::from_u128(1),
        };
        CommandKind::Report(Box::new(Report {
            step,
            lease,
            grant: Grant {
                worker: WorkerId(Uuid::from_u128(9)),
                lease_seq: 1,
                granted_at: now(),
            },
            outcome: ReportOutcome::Completed { output },
        }))
    }

    fn payload(&mut self, run: RunId, value: &Value) -> NewPayload {
        let payload = Payload::json(value).named(run, &entropy(self.payloads.len()), 0);
        let parsed = Arc::new(value.clone());
        self.payloads.insert(payload.reference.id, parsed);
        payload
    }

    /// Decides and folds all of it.
    fn play(&self) -> Option<Run> {
        let mut run = None;
        for (index, command) in self.commands.iter().enumerate() {
            let mut inputs = Inputs {
                now: now(),
                entropy: entropy(1_000 + index),
                payloads: BTreeMap::new(),
                joins: BTreeMap::new(),
                contracts: Arc::clone(&self.contracts),
                workflows: BTreeMap::new(),
                limits: Limits::default(),
            };
            let decided = loop {
                match decide(run.as_ref(), &self.plan, command, &inputs) {
                    Ok(decided) => break decided,
                    Err(Rejection::Needs(needs)) => {
                        let wanted = needs.payloads.iter().map(|wanted| wanted.id);
                        let found = wanted.map(|id| (id, Arc::clone(&self.payloads[&id])));
                        inputs.payloads.extend(found);
                    }
                    Err(rejection) => panic!("command {index}: {rejection}"),
                }
            };
            run = Some(black_box(decided).run);
        }
        run
    }
}

/// A hundred calls, each fed by the one before.
fn workflow() -> String {
    let mut text = "workflow: hundred\nsteps:\n".to_owned();
    let mut source = "input".to_owned();
    for step in 0..STEPS {
        let with = format!("{{ n: \"${{{source}.n}}\", text: \"${{{source}.text}}\" }}");
        text += &format!("  - {{ id: s{step}, call: bench.echo, with: {with} }}\n");
        source = format!("steps.s{step}.output");
    }
    text + &format!("output: \"${{{source}}}\"\n")
}

fn contract() -> Arc<Contract> {
    let echo = json!({
        "type": "object",
        "required": ["n", "text"],
        "properties": { "n": { "type": "integer" }, "text": { "type": "string" } },
    });
    Arc::new(Contract {
        name: "bench.echo".to_owned(),
        version: "1".to_owned(),
        description: String::new(),
        input_schema: echo.clone(),
        output_schema: echo,
        effect: EffectClass::Reversible,
        idempotency: Idempotency::Keyed,
        start_to_close: None,
        compiled: Compiled::default(),
    })
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn entropy(n: usize) -> [u8; 32] {
    let mut entropy = [0; 32];
    entropy[..8].copy_from_slice(&(n as u64).to_be_bytes());
    entropy
}
