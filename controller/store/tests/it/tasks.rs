//! How tasks stand, as people see it.

use std::collections::BTreeMap;

use fulcrum_core::contract::EffectClass;
use fulcrum_core::ids::{ContractHash, RunId, TaskId, WorkerId};
use fulcrum_core::store::{ClaimRequest, RunStatus, Store};
use fulcrum_core::task::TaskState;
use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_store::catalog::{NewContract, Page};
use fulcrum_store::identity::{
    Draining, IdentityKind, InstallationRow, NewIdentity, NewJoinToken, NewWorker,
};
use fulcrum_store::views::{Offer, RunFilter, Stalled, TaskStanding};
use sqlx::types::Uuid;

use crate::database::Database;
use crate::sample::{NAMESPACE, run, start_with_task, step};

const LATER: Timestamp = Timestamp::from_millis(4_000_000_000_000);
const WORKER: WorkerId = WorkerId(Uuid::from_u128(7));

/// A worker in good standing that serves `crm.read`.
async fn enrol(database: &Database) {
    let store = &database.store;
    let row = InstallationRow {
        install_id: "f-1".to_owned(),
        paging_key: vec![1; 32],
    };
    store.installation().init(row, vec![]).await.unwrap();
    let token = NewJoinToken {
        id: Uuid::from_u128(1),
        secret_hash: [9; 32],
        namespace: "acme".to_owned(),
        kind: IdentityKind::Connector,
        name: "edge".to_owned(),
        capability_patterns: vec![],
        expires_at: LATER,
        created_by: "ada".to_owned(),
    };
    let once = fulcrum_store::catalog::Once::unnamed();
    store.join_tokens().create(token, once).await.unwrap();
    let identity = NewIdentity {
        id: WORKER.0,
        namespace: "acme".to_owned(),
        kind: IdentityKind::Connector,
        name: "edge".to_owned(),
        serial: "7".to_owned(),
        public_key_sha256: vec![1; 32],
        not_after: LATER,
        min_issued_at: Timestamp(0),
        capability_patterns: vec!["crm.*".to_owned()],
    };
    let tokens = store.join_tokens();
    let redeemed = tokens.redeem(Uuid::from_u128(1), identity).await;
    redeemed.unwrap().unwrap();
    let worker = NewWorker {
        worker: WORKER,
        namespace: NAMESPACE,
        instance: Uuid::from_u128(8),
        sdk_version: "0.1.0".to_owned(),
        labels: BTreeMap::new(),
        slots: 8,
        draining: Draining::No,
    };
    let contract = NewContract {
        capability: "crm.read".to_owned(),
        hash: ContractHash([3; 32]),
        version: "1".to_owned(),
        effect: EffectClass::Read,
        body: b"{}".to_vec(),
    };
    let workers = store.workers();
    workers.register(worker, vec![contract]).await.unwrap();
}

async fn standing(database: &Database) -> TaskStanding {
    let task = TaskId::of_step(run(1), &step("a").to_string());
    let gone = TaskId::of_step(run(1), "gone~1");
    let tasks = database.store.tasks();
    let ids = [gone, task];
    let read = tasks.standing(run(1).shard(), &ids, Millis(60_000)).await;
    let [standing] = <[TaskStanding; 1]>::try_from(read.unwrap()).unwrap();
    assert_eq!(standing.task, task);
    standing
}

/// Runs that wait for nobody, among those of two capabilities.
async fn stalled(database: &Database) -> Vec<RunId> {
    let page = Page {
        after: None,
        rows: 10,
    };
    let stalled = Stalled {
        silence: Millis(60_000),
    };
    let runs = database.store.runs();
    let filter = RunFilter::roots(NAMESPACE);
    let heads = runs.list_stalled(filter, stalled, page).await.unwrap();
    heads.iter().map(|head| head.run).collect()
}

#[tokio::test]
async fn stalled_runs_are_found_by_what_nobody_serves() {
    let database = Database::new().await;
    let commits = (1..=3).map(|n| {
        let capability = if n == 2 { "crm.read" } else { "mail.send" };
        start_with_task(run(n), capability)
    });
    database
        .store
        .flush(commits.collect::<Vec<_>>())
        .await
        .unwrap();
    let mut all = vec![run(1), run(2), run(3)];
    all.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(stalled(&database).await, all, "newest first");
    enrol(&database).await;
    all.retain(|one| *one != run(2));
    assert_eq!(
        stalled(&database).await,
        all,
        "somebody reads, nobody sends"
    );
    let filter = RunFilter {
        statuses: vec![RunStatus::Failed],
        ..RunFilter::roots(NAMESPACE)
    };
    let stalled = Stalled {
        silence: Millis(60_000),
    };
    let page = Page {
        after: None,
        rows: 10,
    };
    let runs = database.store.runs();
    let none = runs.list_stalled(filter, stalled, page).await.unwrap();
    assert!(none.is_empty(), "other conditions narrow");
}

#[tokio::test]
async fn a_task_says_who_could_take_it_and_then_who_did() {
    let database = Database::new().await;
    let commit = start_with_task(run(1), "crm.read");
    database.store.flush(vec![commit]).await.unwrap();
    let nobody = standing(&database).await;
    assert_eq!((nobody.state, nobody.offer), (TaskState::Ready, Offer::Due));
    assert_eq!((nobody.registered, nobody.connected), (0, 0));
    assert_eq!(nobody.granted, None);
    assert_eq!(stalled(&database).await, [run(1)]);

    enrol(&database).await;
    let offered = standing(&database).await;
    assert_eq!((offered.registered, offered.connected), (1, 1));
    assert_eq!(stalled(&database).await, []);

    let claim = ClaimRequest {
        worker: WORKER,
        namespace: NAMESPACE,
        capabilities: vec!["crm.read".to_owned()],
        slots: 1,
    };
    let granted = database
        .store
        .claim(&[claim], Millis(30_000))
        .await
        .unwrap();
    let leased = standing(&database).await;
    assert_eq!(leased.state, TaskState::Leased);
    let grant = leased.granted.unwrap();
    assert_eq!((grant.worker, grant.name.as_str()), (WORKER, "edge"));
    assert_eq!(grant.at, granted[0].granted_at);
}
