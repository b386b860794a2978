//! What the engine leaves alone, and what fails alone: on the reference store and on Postgres.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_controller::clock::{DatabaseClock, monotonic};
use fulcrum_controller::engine::delivery::{Carriage, Undeliverable, deliveries};
use fulcrum_controller::engine::dispatch::poll::Parcel;
use fulcrum_controller::engine::item::{Item, LaneError};
use fulcrum_controller::engine::reaper::{Reaper, Reassertion};
use fulcrum_controller::engine::router::Router;
use fulcrum_core::decide::Rejection;
use fulcrum_core::event::{ChainHash, StepKey};
use fulcrum_core::ids::{
    CommitId, DefinitionHash, NamespaceId, PayloadId, RunId, Shard, TaskId, WorkerId,
};
use fulcrum_core::payload::{NewPayload, Payload, PayloadRef};
use fulcrum_core::store::reference::ReferenceStore;
use fulcrum_core::store::{
    Beat, ClaimRequest, Commit, CommitOutcome, Expected, GrantedTask, RunHead, RunStatus, Store,
    StoreError, StoredEvent,
};
use fulcrum_core::task::{NewTask, TaskOp};
use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_store::{Durability, PgStore, StoreOptions};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::database::Database;

const BORN: Timestamp = Timestamp::from_millis(1_795_348_800_000);
const NAMESPACE: NamespaceId = NamespaceId(Uuid::from_u128(1));
const WORKER: WorkerId = WorkerId(Uuid::from_u128(2));
const WINDOW: Duration = Duration::from_secs(2);
const OUT_OF_TOUCH_MAX: Duration = Duration::from_secs(20);

fn run(n: u64) -> RunId {
    RunId::new(BORN, Shard(3), n)
}

fn input(n: u64) -> NewPayload {
    let payload = Payload::json(&serde_json::json!(n));
    let reference = PayloadRef {
        id: PayloadId::derived(run(n), &[7; 32], 0),
        hash: payload.hash(),
        bytes: 1,
    };
    NewPayload::new(reference, payload)
}

/// A run with one ready task; whether its input is stored is up to the test.
fn started(n: u64, payloads: Vec<NewPayload>) -> Commit {
    let run = run(n);
    let body = vec![1, 2, 3];
    let chain = ChainHash::default().next(run, 1, 0, 1, &body);
    let step = StepKey::first("a");
    Commit {
        id: CommitId(run.0),
        expected: Expected::New,
        before: ChainHash::default(),
        head: RunHead {
            run,
            namespace: NAMESPACE,
            shard: run.shard(),
            root: run,
            parent: None,
            workflow: "w".to_owned(),
            definition: DefinitionHash([1; 32]),
            status: RunStatus::Running,
            version: 1,
            last_seq: 1,
            chain,
            started_at: BORN,
            closed_at: None,
            idempotency_key: None,
        },
        events: vec![StoredEvent {
            seq: 1,
            kind: 0,
            schema: 1,
            body,
            hash: chain,
        }],
        snapshot: None,
        payloads,
        fences: Vec::new(),
        tasks: vec![TaskOp::Create(NewTask {
            task: TaskId::of_step(run, &step.to_string()),
            run,
            root: run,
            namespace: NAMESPACE,
            step,
            capability: "test.work".to_owned(),
            contract: None,
            input: input(n).reference,
            priority: 0,
            ready_at: Timestamp(0),
            attempt: 1,
            schedule_to_start: None,
            start_to_close: None,
            trace: None,
        })],
        hand_offs: Vec::new(),
        timers: Vec::new(),
        mail: Vec::new(),
        consumed: Vec::new(),
        joins: Vec::new(),
        reviews: Vec::new(),
        requests: Vec::new(),
    }
}

async fn granted<S: Store>(store: &S, commits: Vec<Commit>, lease: Millis) -> Vec<GrantedTask> {
    let slots = u32::try_from(commits.len()).expect("a few");
    let report = store.flush(commits).await.expect("flushed");
    for outcome in report.outcomes {
        assert_eq!(outcome, CommitOutcome::Committed);
    }
    let claims = [ClaimRequest {
        worker: WORKER,
        namespace: NAMESPACE,
        capabilities: vec!["test.work".to_owned()],
        slots,
    }];
    store.claim(&claims, lease).await.expect("claimed")
}

async fn postgres(database: &Database) -> PgStore {
    let options = StoreOptions {
        durability: Durability::Unsafe,
        ..StoreOptions::new(database.url())
    };
    let store = PgStore::connect(&options).await.expect("connected");
    store.migrate().await.expect("migrated");
    store
}

/// A lane that refuses everything and tells how much it was asked.
fn refusing_lane() -> (Router, mpsc::Receiver<RunId>) {
    let (sender, mut queue) = mpsc::channel::<Item>(16);
    let (told, asked) = mpsc::channel(1_024);
    tokio::spawn(async move {
        while let Some(item) = queue.recv().await {
            let run = item.command.run;
            item.answer(Err(LaneError::Rejected(Rejection::Stale("it is a test"))));
            if told.try_send(run).is_err() {
                return;
            }
        }
    });
    (Router::new(vec![sender]), asked)
}

fn reaper<S: Store>(
    store: &Arc<S>,
    router: &Router,
    clock: DatabaseClock,
    reassertion: &Reassertion,
) -> Reaper<S> {
    Reaper::new(
        Arc::clone(store),
        router.clone(),
        Arc::new(clock),
        reassertion.clone(),
        16,
    )
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_was_out_of_touch_lets_holders_re_assert_their_leases() {
    let store = Arc::new(ReferenceStore::new(BORN));
    let lease = granted(store.as_ref(), vec![started(1, Vec::new())], Millis(1_000)).await;
    let (router, mut asked) = refusing_lane();
    let reassertion = Reassertion::new(WINDOW, OUT_OF_TOUCH_MAX, None);
    let clock = DatabaseClock::new(BORN, monotonic());
    let mut reaper = reaper(&store, &router, clock, &reassertion);
    let pass = async |span: Duration| {
        tokio::time::advance(span).await;
        store.advance(Millis(u64::try_from(span.as_millis()).expect("short")));
    };
    reaper.sweep().await.expect("in touch");
    pass(WINDOW).await;
    pass(OUT_OF_TOUCH_MAX).await;
    reaper.sweep().await.expect("in touch again");
    assert!(asked.try_recv().is_err(), "the lease is left alone");
    let beat = Beat {
        lease: lease[0].lease,
        worker: WORKER,
    };
    store.heartbeat(&[beat], Millis(1_000)).await.expect("beat");
    pass(WINDOW).await;
    reaper.sweep().await.expect("in touch");
    assert_eq!(
        asked.recv().await,
        Some(run(1)),
        "it ran out again, and nobody was away"
    );
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_follows_another_at_once_reaps_at_once() {
    for (silence, reaps) in [
        (Some(OUT_OF_TOUCH_MAX / 2), true),
        (Some(OUT_OF_TOUCH_MAX / 2 + Duration::from_millis(1)), false),
        (None, false),
    ] {
        let store = Arc::new(ReferenceStore::new(BORN));
        granted(store.as_ref(), vec![started(1, Vec::new())], Millis(0)).await;
        let (router, mut asked) = refusing_lane();
        let reassertion = Reassertion::new(WINDOW, OUT_OF_TOUCH_MAX, silence);
        let clock = DatabaseClock::new(BORN, monotonic());
        let mut reaper = reaper(&store, &router, clock, &reassertion);
        reaper.sweep().await.expect("in touch");
        assert_eq!(asked.try_recv().is_ok(), reaps, "{silence:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_jump_of_the_clocks_is_noticed_before_anything_is_reaped() {
    let store = Arc::new(ReferenceStore::new(BORN));
    granted(store.as_ref(), vec![started(1, Vec::new())], Millis(1_000)).await;
    let (router, mut asked) = refusing_lane();
    let reassertion = Reassertion::new(WINDOW, OUT_OF_TOUCH_MAX, None);
    let clock = DatabaseClock::new(BORN, monotonic());
    let mut reaper = reaper(&store, &router, clock, &reassertion);
    tokio::time::advance(WINDOW).await;
    // This machine slept for an hour: its monotonic clock stood still, the database's did not.
    store.advance(Millis::from_secs(3_600));
    reaper.sweep().await.expect("a sweep");
    assert!(asked.try_recv().is_err(), "the lease is left alone");
    tokio::time::advance(WINDOW).await;
    store.advance(Millis(2_000));
    reaper.sweep().await.expect("a sweep");
    assert_eq!(asked.recv().await, Some(run(1)));
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_opens_the_window_on_postgres_too() {
    let database = Database::create();
    let store = Arc::new(postgres(&database).await);
    granted(store.as_ref(), vec![started(1, Vec::new())], Millis(0)).await;
    let (router, mut asked) = refusing_lane();
    let reassertion = Reassertion::new(WINDOW, OUT_OF_TOUCH_MAX, None);
    let now = store.now().await.expect("the time");
    // The window is open at first, and closes.
    while asked.try_recv().is_err() {
        let clock = DatabaseClock::new(store.now().await.expect("the time"), monotonic());
        let mut right = reaper(&store, &router, clock, &reassertion);
        right.sweep().await.expect("a sweep");
        tokio::task::yield_now().await;
    }
    while asked.try_recv().is_ok() {}
    let hour_ago = Timestamp(now.0 - 3_600_000_000);
    let clock = DatabaseClock::new(hour_ago, monotonic());
    let mut wrong = reaper(&store, &router, clock, &reassertion);
    wrong.sweep().await.expect("a sweep");
    assert!(asked.try_recv().is_err(), "the lease is left alone");
}

const CARRIAGE: Carriage = Carriage {
    answer_bytes_max: 8 << 20,
    whole_bytes_max: None,
};

/// Grants whose inputs are not at hand.
fn unread(grants: Vec<GrantedTask>) -> Vec<Parcel> {
    let parcel = |task| Parcel { task, input: None };
    grants.into_iter().map(parcel).collect()
}

#[tokio::test]
async fn a_task_whose_input_is_gone_does_not_keep_the_others_from_their_worker() {
    let database = Database::create();
    let store = postgres(&database).await;
    let commits = vec![
        started(1, vec![input(1)]),
        started(2, Vec::new()),
        started(3, vec![input(3)]),
    ];
    let grants = granted(&store, commits, Millis::from_secs(30)).await;
    let delivered = deliveries(&store, unread(grants), CARRIAGE)
        .await
        .expect("the database is there");
    let mut ready: Vec<RunId> = delivered.ready.iter().map(|one| one.task.run).collect();
    ready.sort_unstable();
    assert_eq!(ready, [run(1), run(3)]);
    let [spoiled] = &delivered.spoiled[..] else {
        panic!("{:?}", delivered.spoiled);
    };
    assert_eq!(spoiled.task.run, run(2));
    assert!(matches!(
        spoiled.error,
        Undeliverable::Stored(StoreError::CorruptPayload { .. })
    ));
    let failure = spoiled.failure().expect("its run can take a failure");
    assert_eq!(failure.code, "DATA_CORRUPT");
}

#[tokio::test]
async fn a_corrupt_run_costs_its_own_grant_and_no_other() {
    let database = Database::create();
    let store = postgres(&database).await;
    // Its only event does not decode, which is looked at from the second grant on.
    let commits = vec![started(1, vec![input(1)]), started(2, vec![input(2)])];
    let mut grants = granted(&store, commits, Millis::from_secs(30)).await;
    grants.sort_by_key(|task| task.run);
    grants[0].lease.seq = 2;
    let delivered = deliveries(&store, unread(grants), CARRIAGE)
        .await
        .expect("the database is there");
    assert_eq!(delivered.ready.len(), 1);
    let [spoiled] = &delivered.spoiled[..] else {
        panic!("{:?}", delivered.spoiled);
    };
    assert!(matches!(
        spoiled.error,
        Undeliverable::Stored(StoreError::Corrupt { run: of, .. }) if of == run(1)
    ));
    assert!(spoiled.failure().is_none());
}
