//! The engine on the reference store: real lanes, dispatcher and loops, no database.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_controller::clock::{DatabaseClock, monotonic};
use fulcrum_controller::config::{LanesConfig, LeaseConfig, LoopsConfig};
use fulcrum_controller::engine::catalog::{Contracts, Source};
use fulcrum_controller::engine::delivery::Delivery;
use fulcrum_controller::engine::handle::{Engine, EngineError};
use fulcrum_controller::engine::item::LaneError;
use fulcrum_controller::engine::start::{EngineOptions, start};
use fulcrum_controller::engine::starting::{StartRequest, Started};
use fulcrum_controller::engine::token::LeaseToken;
use fulcrum_controller::engine::working::LeaseCall;
use fulcrum_controller::entropy::Entropy;
use fulcrum_controller::loops::Board;
use fulcrum_controller::shutdown::Tasks;
use fulcrum_core::decide::Rejection;
use fulcrum_core::decide::command::ReportOutcome;
use fulcrum_core::definition::model::Definition;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::definition::{CheckContext, Unregistered, compile};
use fulcrum_core::event::Actor;
use fulcrum_core::ids::{DefinitionHash, NamespaceId, RunId, WorkerId};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::Payload;
use fulcrum_core::store::reference::ReferenceStore;
use fulcrum_core::store::{RunStatus, Store, StoreError};
use fulcrum_core::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const NAMESPACE: NamespaceId = NamespaceId(Uuid::from_u128(1));
pub(crate) const WORKER: WorkerId = WorkerId(Uuid::from_u128(2));

const BIRTH: Timestamp = Timestamp::from_millis(1_795_000_000_000);

pub(crate) struct Table {
    definitions: BTreeMap<DefinitionHash, Definition>,
    pub(crate) newest: BTreeMap<String, DefinitionHash>,
}

impl Source for Table {
    async fn plan(&self, hash: DefinitionHash) -> Result<Option<Result<Plan, String>>, StoreError> {
        let plan = |definition: Definition| {
            Plan::new(definition, hash, &Limits::default()).map_err(|e| e.to_string())
        };
        Ok(self.definitions.get(&hash).cloned().map(plan))
    }

    async fn newest(
        &self,
        _: NamespaceId,
        workflow: &str,
    ) -> Result<Option<DefinitionHash>, StoreError> {
        Ok(self.newest.get(workflow).copied())
    }

    async fn contracts(&self, _: NamespaceId) -> Result<Contracts, StoreError> {
        Ok(Contracts::default())
    }
}

/// Bytes of one answer to a worker, where a test does not say otherwise.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

pub(crate) struct World<S = ReferenceStore> {
    pub(crate) engine: Arc<Engine<S, Table>>,
    tasks: Tasks,
    newest: BTreeMap<String, DefinitionHash>,
}

pub(crate) fn world(sources: &[&str]) -> World {
    world_with(sources, ANSWER_BYTES_MAX)
}

/// A controller whose answers to workers have room for so many bytes.
pub(crate) fn world_with(sources: &[&str], answer_bytes_max: u64) -> World {
    let options = EngineOptions {
        answer_bytes_max,
        ..options()
    };
    controller(living_store(), sources, &options)
}

/// A store whose clock goes by itself.
pub(crate) fn living_store() -> Arc<ReferenceStore> {
    let clock = DatabaseClock::new(BIRTH, monotonic());
    Arc::new(ReferenceStore::with_clock(move || clock.now()))
}

/// These workflows, without a database.
pub(crate) fn table(sources: &[&str]) -> Table {
    let limits = Limits::default();
    let mut table = Table {
        definitions: BTreeMap::new(),
        newest: BTreeMap::new(),
    };
    let names: std::collections::BTreeSet<String> = sources
        .iter()
        .filter_map(|s| Some(s.lines().next()?.strip_prefix("workflow: ")?.to_owned()))
        .collect();
    for source in sources {
        let context = CheckContext {
            capabilities: None,
            workflows: Some(&names),
            limits: &limits,
            unregistered: Unregistered::Allow,
        };
        let (definition, hash) = compile(source, &context).expect("a valid definition");
        table.newest.insert(definition.workflow.clone(), hash);
        table.definitions.insert(hash, definition);
    }
    table
}

/// Small sizes and short periods.
pub(crate) fn options() -> EngineOptions {
    EngineOptions {
        lanes: LanesConfig {
            count: 2,
            queue_max: 1_024,
            flush_commands_max: 64,
            flush_beside_runs_min: 64,
            cached_runs_max: 64,
            snapshot_every_events: 8,
        },
        lease: LeaseConfig {
            ttl_ms: 30_000,
            heartbeat_ms: 10_000,
            reassert_ms: 0,
        },
        loops: LoopsConfig {
            tick_ms: 20,
            sweep_ms: 1_000,
            mail_age_ms: 20,
            certificates_ms: 1_000,
            partitions_ms: 1_000,
            retention_ms: 1_000,
        },
        limits: Limits::default(),
        answer_bytes_max: ANSWER_BYTES_MAX,
        entropy: Entropy::system(),
        attending: None,
        silence: None,
    }
}

/// Another controller on the same database.
pub(crate) fn world_on<S: Store>(store: Arc<S>, sources: &[&str]) -> World<S> {
    controller(store, sources, &options())
}

pub(crate) fn controller<S: Store>(
    store: Arc<S>,
    sources: &[&str],
    options: &EngineOptions,
) -> World<S> {
    let table = table(sources);
    let newest = table.newest.clone();
    let tasks = Tasks::default();
    let clock = Arc::new(DatabaseClock::new(BIRTH, monotonic()));
    let engine = start(
        store,
        table,
        clock,
        options,
        &tasks,
        &Arc::<Board>::default(),
    );
    World {
        engine,
        tasks,
        newest,
    }
}

impl<S: Store> World<S> {
    pub(crate) async fn start(
        &self,
        workflow: &str,
        input: Value,
        key: Option<&str>,
    ) -> Result<Started, EngineError> {
        let request = StartRequest {
            actor: Actor::Operator("founder".to_owned()),
            namespace: NAMESPACE,
            shards: 16,
            workflow: workflow.to_owned(),
            definition: self.newest[workflow],
            input: Some(Payload::json(&input)),
            idempotency_key: key.map(str::to_owned),
            request: None,
            trace: None,
        };
        self.engine.start(request).await
    }

    pub(crate) async fn lease(&self, capability: &str, slots: u32) -> Vec<Delivery> {
        self.lease_as(capability, slots, "").await
    }

    async fn lease_as(&self, capability: &str, slots: u32, call_id: &str) -> Vec<Delivery> {
        let call = LeaseCall {
            worker: WORKER,
            namespace: NAMESPACE,
            capabilities: vec![capability.to_owned()],
            slots,
            wait: Duration::from_secs(10),
            call_id: call_id.to_owned(),
            whole_bytes_max: None,
        };
        self.engine.lease(call).await.expect("a lease call")
    }

    pub(crate) async fn complete(
        &self,
        delivery: &Delivery,
        output: Value,
    ) -> Result<(), EngineError> {
        let token = LeaseToken::of(&delivery.task);
        let output = self.engine.namer(token.run)?.name(Payload::json(&output))?;
        self.engine
            .report(WORKER, token, ReportOutcome::Completed { output }, None)
            .await
    }

    pub(crate) async fn closed(&self, run: RunId) -> (RunStatus, Value) {
        self.engine.closed(run, Duration::from_secs(20)).await;
        let (state, head) = self.engine.run(NAMESPACE, run).await.expect("the run");
        let output = match state.output {
            Some(reference) => {
                let payloads = self
                    .engine
                    .store
                    .payloads(&[reference])
                    .await
                    .expect("the output");
                payloads[0].payload.to_value().expect("JSON")
            }
            None => Value::Null,
        };
        (head.status, output)
    }

    pub(crate) async fn end(self) {
        assert_eq!(
            self.tasks.shut_down(Duration::from_secs(10)).await,
            Vec::<&str>::new()
        );
    }
}

const THREE_STEPS: &str = "workflow: three
steps:
  - { id: a, call: test.echo, with: { n: \"${input.n}\" } }
  - { id: b, call: test.echo, with: { n: \"${steps.a.output.n + 1}\" } }
  - { id: c, call: test.echo, with: { n: \"${steps.b.output.n + 1}\" } }
output: { n: \"${steps.c.output.n}\" }
";

#[tokio::test]
async fn a_three_step_run_goes_through_the_engine() {
    let world = world(&[THREE_STEPS]);
    let run = world
        .start("three", json!({"n": 1}), None)
        .await
        .expect("started")
        .run();
    for _ in 0..3 {
        let granted = world.lease("test.echo", 1).await;
        let input = granted[0].input.value().expect("JSON");
        world.complete(&granted[0], input).await.expect("accepted");
    }
    assert_eq!(
        world.closed(run).await,
        (RunStatus::Completed, json!({"n": 3}))
    );
    world.end().await;
}

#[tokio::test]
async fn a_report_is_accepted_once_and_a_lost_lease_changes_nothing() {
    let world = world(&[THREE_STEPS]);
    world
        .start("three", json!({"n": 1}), None)
        .await
        .expect("started");
    let granted = world.lease("test.echo", 1).await;
    world
        .complete(&granted[0], json!({"n": 7}))
        .await
        .expect("accepted");
    world
        .complete(&granted[0], json!({"n": 9}))
        .await
        .expect("a repeated report gets the first one's answer");
    let mut other = granted[0].clone();
    other.task.lease.seq += 1;
    let late = world.complete(&other, json!({"n": 8})).await;
    assert!(
        matches!(
            late,
            Err(EngineError::Lane(LaneError::Rejected(
                Rejection::LeaseLost(_)
            )))
        ),
        "a stale lease must be refused: {late:?}"
    );
    let next = world.lease("test.echo", 1).await;
    assert_eq!(
        next[0].input.value().expect("JSON"),
        json!({"n": 8}),
        "7 + 1: the first report counted"
    );
    world.end().await;
}

#[tokio::test]
async fn a_controller_that_fell_behind_reads_again_before_it_refuses() {
    let first = world(&[THREE_STEPS]);
    let second = world_on(Arc::clone(&first.engine.store), &[THREE_STEPS]);
    let run = first.start("three", json!({"n": 1}), None).await;
    let run = run.expect("started").run();
    // The second controller takes the run a step further than the first one remembers it.
    let a = second.lease("test.echo", 1).await;
    second
        .complete(&a[0], json!({"n": 1}))
        .await
        .expect("accepted");
    let b = second.lease("test.echo", 1).await;
    first
        .complete(&b[0], json!({"n": 2}))
        .await
        .expect("the step is open, whatever the first controller remembers");
    let c = first.lease("test.echo", 1).await;
    second
        .complete(&c[0], json!({"n": 3}))
        .await
        .expect("accepted");
    assert_eq!(
        first.closed(run).await,
        (RunStatus::Completed, json!({"n": 3}))
    );
    second.end().await;
    first.end().await;
}

#[tokio::test]
async fn a_repeated_lease_call_gets_the_same_grants() {
    let world = world(&[THREE_STEPS]);
    world
        .start("three", json!({"n": 1}), None)
        .await
        .expect("started");
    let first = world.lease_as("test.echo", 1, "call-1").await;
    let again = world.lease_as("test.echo", 1, "call-1").await;
    assert_eq!(first[0].task, again[0].task);
    let nothing_new = world.lease_as("test.echo", 0, "call-2").await;
    assert!(nothing_new.is_empty());
    world.end().await;
}

#[tokio::test]
async fn one_idempotency_key_starts_one_run() {
    let world = world(&[THREE_STEPS]);
    let first = world
        .start("three", json!({"n": 1}), Some("order-1"))
        .await
        .expect("started");
    let second = world
        .start("three", json!({"n": 1}), Some("order-1"))
        .await
        .expect("found");
    assert_eq!(second, Started::Earlier(first.run()));
    world.end().await;
}

const FAN_OUT: &str = "workflow: fan
steps:
  - id: each
    foreach: \"${input.items}\"
    max_parallel: 3
    do:
      - { id: one, call: test.echo, with: { n: \"${item * 10}\" } }
    output: \"${steps.one.output.n}\"
output: \"${steps.each.output}\"
";

#[tokio::test]
async fn a_fan_out_joins_in_order() {
    let world = world(&[FAN_OUT]);
    let items: Vec<u32> = (0..40).collect();
    let run = world
        .start("fan", json!({"items": items}), None)
        .await
        .expect("started")
        .run();
    let mut served = 0;
    while served < 40 {
        for delivery in world.lease("test.echo", 5).await {
            let input = delivery.input.value().expect("JSON");
            world.complete(&delivery, input).await.expect("accepted");
            served += 1;
        }
    }
    let expected: Vec<u32> = (0..40).map(|n| n * 10).collect();
    assert_eq!(
        world.closed(run).await,
        (RunStatus::Completed, json!(expected))
    );
    world.end().await;
}

#[tokio::test]
async fn many_runs_share_commits_and_all_complete() {
    let world = Arc::new(world(&[THREE_STEPS]));
    let starts = (0..50).map(|n| world.start("three", json!({"n": n}), None));
    let runs: Vec<RunId> = futures_util::future::join_all(starts)
        .await
        .into_iter()
        .map(|s| s.expect("started").run())
        .collect();
    let mut served = 0;
    while served < 150 {
        for delivery in world.lease("test.echo", 20).await {
            let input = delivery.input.value().expect("JSON");
            world.complete(&delivery, input).await.expect("accepted");
            served += 1;
        }
    }
    for (n, run) in runs.into_iter().enumerate() {
        assert_eq!(
            world.closed(run).await,
            (RunStatus::Completed, json!({"n": n + 2}))
        );
    }
}

#[tokio::test]
async fn a_timer_that_was_set_here_fires_without_waiting_for_a_tick() {
    const NAP: &str = "workflow: nap
steps:
  - { id: nap, sleep: 1 }
";
    let rarely = LoopsConfig {
        tick_ms: 600_000,
        sweep_ms: 600_000,
        ..options().loops
    };
    let options = EngineOptions {
        loops: rarely,
        ..options()
    };
    let world = controller(living_store(), &[NAP], &options);
    let run = world.start("nap", json!({}), None).await.expect("started");
    let (status, _) = world.closed(run.run()).await;
    assert_eq!(status, RunStatus::Completed);
    world.end().await;
}
