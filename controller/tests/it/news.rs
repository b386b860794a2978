//! Two controllers on one database that look for each other's work so rarely that only news explains what happens
//! sooner.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_controller::clock::{DatabaseClock, monotonic};
use fulcrum_controller::config::LoopsConfig;
use fulcrum_controller::engine::delivery::Delivery;
use fulcrum_controller::engine::handle::Engine;
use fulcrum_controller::engine::herald::Audience;
use fulcrum_controller::engine::start::{EngineOptions, start};
use fulcrum_controller::engine::starting::StartRequest;
use fulcrum_controller::engine::token::LeaseToken;
use fulcrum_controller::engine::working::LeaseCall;
use fulcrum_controller::loops::Board;
use fulcrum_controller::notifier;
use fulcrum_controller::shutdown::Tasks;
use fulcrum_core::decide::command::ReportOutcome;
use fulcrum_core::event::Actor;
use fulcrum_core::ids::{DefinitionHash, NamespaceId, WorkerId};
use fulcrum_core::payload::Payload;
use fulcrum_core::store::{RunStatus, Store};
use fulcrum_store::bus::Heard;
use fulcrum_store::versions::{ControllerRow, FeatureLevel};
use fulcrum_store::{Durability, PgStore, StoreOptions};
use serde_json::json;
use uuid::Uuid;

use crate::database::Database;
use crate::engine::{Table, options, table};

const NAMESPACE: NamespaceId = NamespaceId(Uuid::from_u128(1));
const WORKER: WorkerId = WorkerId(Uuid::from_u128(2));

/// Period of ticks and sweeps here.
const RARELY_MS: u64 = 600_000;
/// Far less than that, and longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

const ONE_STEP: &str = "workflow: one
steps:
  - { id: a, call: test.echo, with: { n: \"${input.n}\" } }
output: { n: \"${steps.a.output.n}\" }
";

struct Site {
    store: PgStore,
    engine: Arc<Engine<PgStore, Table>>,
    tasks: Tasks,
    definition: DefinitionHash,
}

impl Site {
    async fn new(database: &Database, n: u128) -> Self {
        let store = StoreOptions {
            durability: Durability::Unsafe,
            ..StoreOptions::new(database.url())
        };
        let store = PgStore::connect(&store).await.expect("connects");
        store.migrate().await.expect("migrates");
        let me = ControllerRow {
            id: Uuid::from_u128(n),
            build: "0.1.0".to_owned(),
            level_max: FeatureLevel::MAX,
        };
        store.versions().enter(&me).await.expect("enters");
        let options = EngineOptions {
            loops: LoopsConfig {
                tick_ms: RARELY_MS,
                sweep_ms: RARELY_MS,
                ..options().loops
            },
            attending: Some(me.id),
            silence: None,
            ..options()
        };
        let now = store.now().await.expect("the time");
        let clock = Arc::new(DatabaseClock::new(now, monotonic()));
        let (tasks, board) = (Tasks::default(), Arc::<Board>::default());
        let table = table(&[ONE_STEP]);
        let definition = table.newest["one"];
        let store_of_engine = Arc::new(store.clone());
        let engine = start(store_of_engine, table, clock, &options, &tasks, &board);
        notifier::start(&store, &engine, &tasks);
        Self {
            store,
            engine,
            tasks,
            definition,
        }
    }

    /// Ticks once, and waits until it knows how many others there are.
    async fn knows_of(&self, others: u32) {
        let mut tidings = self.engine.tidings.clone();
        self.engine.bells.tick.notify_one();
        let told = tokio::time::timeout(PATIENCE, tidings.changed()).await;
        told.expect("a tick").expect("the engine lives");
        assert_eq!(tidings.borrow().others, others);
        let audience = match others {
            0 => Audience::Nobody,
            1.. => Audience::Somebody,
        };
        let known = self.engine.herald.has_audience(audience);
        let known = tokio::time::timeout(PATIENCE, known).await;
        known.expect("the herald knows who hears it");
    }

    fn request(&self) -> StartRequest {
        StartRequest {
            actor: Actor::Operator("founder".to_owned()),
            namespace: NAMESPACE,
            shards: 16,
            workflow: "one".to_owned(),
            definition: self.definition,
            input: Some(Payload::json(&json!({ "n": 7 }))),
            idempotency_key: None,
            request: None,
            trace: None,
        }
    }

    async fn lease(&self) -> Vec<Delivery> {
        let call = LeaseCall {
            worker: WORKER,
            namespace: NAMESPACE,
            capabilities: vec!["test.echo".to_owned()],
            slots: 1,
            wait: PATIENCE,
            call_id: String::new(),
            whole_bytes_max: None,
        };
        self.engine.lease(call).await.expect("a lease call")
    }

    async fn complete(&self, delivery: &Delivery) {
        let token = LeaseToken::of(&delivery.task);
        let mut namer = self.engine.namer(token.run).expect("a namer");
        let output = Payload::json(&json!({ "n": 7 }));
        let output = namer.name(output).expect("a small payload");
        let outcome = ReportOutcome::Completed { output };
        let reported = self.engine.report(WORKER, token, outcome, None).await;
        reported.expect("accepted");
    }

    async fn end(self) {
        let aborted = self.tasks.shut_down(Duration::from_secs(20)).await;
        assert_eq!(aborted, Vec::<&str>::new());
        self.store.close().await;
    }
}

#[tokio::test]
async fn whoever_waits_at_one_controller_hears_of_what_a_worker_at_the_other_did() {
    let database = Database::create();
    let here = Site::new(&database, 1).await;
    let there = Site::new(&database, 2).await;
    here.knows_of(1).await;
    there.knows_of(1).await;
    let work = async {
        let granted = there.lease().await;
        assert_eq!(granted.len(), 1, "the task made at the other controller");
        there.complete(&granted[0]).await;
    };
    let wait = async {
        // The worker waits already, and has found nothing.
        while there.engine.hall.lines(1).is_empty() {
            tokio::task::yield_now().await;
        }
        let started = here.engine.start_followed(here.request()).await;
        let followed = started.expect("started");
        let run = followed.started.run();
        let began = monotonic();
        here.engine.result(followed, PATIENCE * 2).await;
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
        let (_, head) = here.engine.run(NAMESPACE, run).await.expect("the run");
        assert_eq!(head.status, RunStatus::Completed);
    };
    tokio::join!(work, wait);
    there.end().await;
    here.end().await;
}

#[tokio::test]
async fn a_controller_that_is_alone_tells_nothing() {
    let database = Database::create();
    let alone = Site::new(&database, 1).await;
    alone.knows_of(0).await;
    let bus = alone.store.bus().expect("sessions are ours");
    let mut ears = bus.listen().await.expect("listens");
    alone.engine.start(alone.request()).await.expect("started");
    let granted = alone.lease().await;
    alone.complete(&granted[0]).await;
    bus.tell("the end").await.expect("told");
    let heard = tokio::time::timeout(PATIENCE, ears.next()).await;
    let heard = heard.expect("something is heard").expect("listens still");
    assert_eq!(heard, Heard::Text("the end".to_owned()));
    alone.end().await;
}
