//! What a tick tells beyond what the reference store can: who is there, and what has changed.

use fulcrum_core::store::{Attendance, Found, Sought, Store};
use fulcrum_store::PgStore;
use fulcrum_store::identity::{Draining, InstallationRow, NewWorker};
use fulcrum_store::versions::{ControllerRow, FeatureLevel};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Executor};

use crate::database::Database;
use crate::sample::{NAMESPACE, worker};

const FIRST: Uuid = Uuid::from_u128(1);
const SECOND: Uuid = Uuid::from_u128(2);

async fn tick(store: &PgStore, attending: Option<Uuid>) -> Found {
    let sought = Sought {
        attending,
        ..Sought::default()
    };
    store.tick(&sought).await.unwrap()
}

async fn enter(store: &PgStore, id: Uuid) {
    let row = ControllerRow {
        id,
        build: "0.1.0".to_owned(),
        level_max: FeatureLevel::MAX,
    };
    store.versions().enter(&row).await.unwrap();
}

async fn silent_for(database: &Database, id: Uuid, seconds: u32) {
    let sql = format!(
        "update controllers set last_seen_at = now() - interval '{seconds} seconds' where controller_id = '{id}'"
    );
    let mut connection = database.raw().await;
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
}

async fn seen_lately(database: &Database, id: Uuid) -> bool {
    sqlx::query_scalar("select last_seen_at > now() - interval '5 seconds' from controllers where controller_id = $1")
        .bind(id)
        .fetch_one(&mut database.raw().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn whoever_ticks_stays_on_the_list_and_learns_who_else_is_on_it() {
    let database = Database::new().await;
    let store = &database.store;
    assert_eq!(tick(store, None).await.attendance, Attendance::Unasked);
    assert_eq!(
        tick(store, Some(FIRST)).await.attendance,
        Attendance::Overdue,
        "it never signed in"
    );
    enter(store, FIRST).await;
    let alone = tick(store, Some(FIRST)).await;
    assert_eq!((alone.attendance, alone.others), (Attendance::Fresh, 0));
    enter(store, SECOND).await;
    assert_eq!(tick(store, Some(FIRST)).await.others, 1);
    assert_eq!(tick(store, None).await.others, 2);
    silent_for(&database, SECOND, 120).await;
    assert_eq!(tick(store, Some(FIRST)).await.others, 0, "it is gone");

    silent_for(&database, FIRST, 8).await;
    assert_eq!(tick(store, Some(FIRST)).await.attendance, Attendance::Fresh);
    assert!(seen_lately(&database, FIRST).await);
    silent_for(&database, FIRST, 50).await;
    assert_eq!(
        tick(store, Some(FIRST)).await.attendance,
        Attendance::Overdue,
        "the feature level may have risen without it"
    );
    assert!(!seen_lately(&database, FIRST).await);
}

#[tokio::test]
async fn a_registration_is_seen_as_a_change_of_the_catalogue() {
    let database = Database::new().await;
    let store = &database.store;
    let installation = InstallationRow {
        install_id: "i-1".to_owned(),
        paging_key: vec![0; 32],
    };
    store
        .installation()
        .init(installation, Vec::new())
        .await
        .unwrap();
    let before = tick(store, None).await.revisions;
    let new = NewWorker {
        worker: worker(1),
        namespace: NAMESPACE,
        instance: Uuid::from_u128(7),
        sdk_version: "1".to_owned(),
        labels: Default::default(),
        slots: 1,
        draining: Draining::No,
    };
    store.workers().register(new, Vec::new()).await.unwrap();
    let after = tick(store, None).await.revisions;
    assert_eq!(after.identities, before.identities);
    assert!(after.catalogue > before.catalogue);
}
