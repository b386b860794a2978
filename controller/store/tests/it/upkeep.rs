//! Retention and partitions.

use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::store::{RunStatus, Store};
use fulcrum_core::time::Timestamp;

use crate::database::Database;
use crate::sample::{NAMESPACE, next, start};

fn old(day: i64, n: u64) -> RunId {
    RunId::new(
        Timestamp::from_millis(1_000_000_000_000 + day * 86_400_000),
        Shard(1),
        n,
    )
}

#[tokio::test]
async fn a_day_leaves_when_all_its_runs_are_closed_and_its_chains_are_logged() {
    let database = Database::new().await;
    let store = &database.store;
    let fresh = RunId::new(store.now().await.unwrap(), Shard(1), 4);
    store
        .namespaces()
        .create(NAMESPACE, "acme", 16)
        .await
        .unwrap()
        .unwrap();
    store
        .flush(vec![
            start(old(0, 1)),
            start(old(0, 2)),
            start(old(5, 3)),
            start(fresh),
        ])
        .await
        .unwrap();
    for closed in [old(0, 1), old(0, 2)] {
        let mut commit = next(&start(closed).head);
        commit.head.status = RunStatus::Completed;
        commit.head.closed_at = Some(Timestamp(1));
        store.flush(vec![commit]).await.unwrap();
    }
    let done = store.upkeep().retain(30).await.unwrap();
    assert_eq!(
        (done.days_dropped, done.days_held_open, done.runs_deleted),
        (1, 1, 2)
    );
    let left = store
        .heads(&[old(0, 1), old(0, 2), old(5, 3), fresh])
        .await
        .unwrap();
    assert_eq!(
        left.iter().map(|head| head.run).collect::<Vec<_>>(),
        [old(5, 3), fresh]
    );
    let (runs, bytes): (i64, i32) = sqlx::query_as(
        "select runs, octet_length(root_hash) from dropped_days where dropped_at is not null",
    )
    .fetch_one(&mut database.raw().await)
    .await
    .unwrap();
    assert_eq!((runs, bytes), (2, 32));
    assert_eq!(store.upkeep().retain(30).await.unwrap().days_dropped, 0);
}

#[tokio::test]
async fn partitions_are_made_ahead_once() {
    let database = Database::new().await;
    assert_eq!(database.store.upkeep().make_days_ahead().await.unwrap(), 0);
    assert!(database.store.upkeep().runway_days().await.unwrap() >= 14);
}
