//! Payloads above the inline limit: where they go, and that they are found.

use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::payload::NewPayload;
use fulcrum_core::store::{Commit, CommitOutcome, Expected, RunStatus, Store, StoreError};
use fulcrum_core::time::Timestamp;
use fulcrum_store::{BlobOptions, PgStore, StoreOptions};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Executor};

use crate::database::{Database, look_at_level, options};
use crate::sample::{NAMESPACE, blob, next, payload, payload_of, run, start, with_events};

async fn with_limit(database: &Database, inline_bytes_max: u32) -> PgStore {
    let store = PgStore::connect(&StoreOptions {
        blobs: BlobOptions {
            inline_bytes_max,
            objects: None,
        },
        ..options(database.name())
    })
    .await
    .unwrap();
    look_at_level(&store).await;
    store
}

fn carrying(mut commit: Commit, payloads: &[NewPayload]) -> Commit {
    commit.payloads.extend_from_slice(payloads);
    commit
}

/// Rows in `payloads` and in `blobs`.
async fn counts(database: &Database) -> (i64, i64) {
    sqlx::query_as("select (select count(*) from payloads), (select count(*) from blobs)")
        .fetch_one(&mut database.raw().await)
        .await
        .unwrap()
}

async fn read(store: &PgStore, new: &NewPayload) -> Result<NewPayload, StoreError> {
    store
        .payloads(&[new.reference])
        .await
        .map(|mut found| found.remove(0))
}

fn is_corrupt(read: &Result<NewPayload, StoreError>, new: &NewPayload) -> bool {
    matches!(read, Err(StoreError::CorruptPayload { payload, .. }) if *payload == new.reference.id)
}

#[tokio::test]
async fn what_is_above_the_limit_is_kept_apart_and_read_with_the_rest() {
    let database = Database::new().await;
    let store = &database.store;
    let (at, above) = (payload_of(run(1), 3, 8_192), payload_of(run(1), 4, 8_193));
    let all = [payload(1), blob(2), at, above];
    let report = store
        .flush(vec![carrying(start(run(1)), &all)])
        .await
        .unwrap();
    assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    assert_eq!(counts(&database).await, (2, 2));
    let refs: Vec<_> = all.iter().rev().map(|new| new.reference).collect();
    let mut found = store.payloads(&refs).await.unwrap();
    found.reverse();
    assert_eq!(found, all);
}

#[tokio::test]
async fn a_batch_of_many_megabytes_is_committed() {
    let database = Database::new().await;
    let many: Vec<NewPayload> = (0..6).map(|n| payload_of(run(1), n, 4 << 20)).collect();
    let commit = carrying(start(run(1)), &many);
    let report = database.store.flush(vec![commit]).await.unwrap();
    assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    for new in &many {
        assert_eq!(&read(&database.store, new).await.unwrap(), new);
    }
}

#[tokio::test]
async fn a_commit_that_loses_refers_to_nothing_and_the_blob_serves_the_next_one() {
    let database = Database::new().await;
    let store = &database.store;
    store.flush(vec![start(run(1))]).await.unwrap();
    let mut stale = carrying(next(&start(run(1)).head), &[blob(1)]);
    stale.expected = Expected::Version(7);
    let lost = store.flush(vec![stale]).await.unwrap();
    assert_eq!(lost.outcomes, [CommitOutcome::Conflict]);
    assert_eq!(store.heads(&[run(1)]).await.unwrap()[0].version, 1);
    let again = carrying(next(&start(run(1)).head), &[blob(1)]);
    let won = store.flush(vec![again]).await.unwrap();
    assert_eq!(won.outcomes, [CommitOutcome::Committed]);
    assert_eq!(counts(&database).await, (0, 1));
    assert_eq!(read(store, &blob(1)).await.unwrap(), blob(1));
}

#[tokio::test]
async fn nothing_is_a_blob_while_a_build_may_be_here_that_knows_of_none() {
    let database = Database::fresh().await;
    let store = &database.store;
    let flush = async |n: u64, new: NewPayload| {
        let commit = carrying(start(run(n)), &[new]);
        let report = store.flush(vec![commit]).await.unwrap();
        assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    };
    flush(1, blob(1)).await;
    assert_eq!(counts(&database).await, (1, 0));
    look_at_level(store).await;
    flush(2, blob(2)).await;
    assert_eq!(counts(&database).await, (1, 1));
    let both = [blob(1), blob(2)];
    let found = store.payloads(&both.clone().map(|new| new.reference)).await;
    assert_eq!(found.unwrap(), both);
}

#[tokio::test]
async fn what_another_limit_put_elsewhere_is_found() {
    let database = Database::new().await;
    let (low, high) = (
        with_limit(&database, 0).await,
        with_limit(&database, 1 << 20).await,
    );
    low.flush(vec![carrying(start(run(1)), &[payload(1), blob(1)])])
        .await
        .unwrap();
    assert_eq!(counts(&database).await, (0, 2));
    high.flush(vec![carrying(start(run(2)), &[payload(2), blob(2)])])
        .await
        .unwrap();
    assert_eq!(counts(&database).await, (2, 2));
    let all = [payload(1), blob(1), payload(2), blob(2)];
    for store in [&low, &high, &database.store] {
        let found = store.payloads(&all.clone().map(|new| new.reference)).await;
        assert_eq!(found.unwrap(), all);
    }
}

#[tokio::test]
async fn a_spoiled_blob_is_named_and_the_others_are_read() {
    let database = Database::new().await;
    let store = &database.store;
    store
        .flush(vec![carrying(start(run(1)), &[blob(1), blob(2)])])
        .await
        .unwrap();
    sqlx::query("update blobs set data = set_byte(data, 5000, 65) where payload_id = $1")
        .bind(blob(1).reference.id.0)
        .execute(&mut database.raw().await)
        .await
        .unwrap();
    let spoiled = read(store, &blob(1)).await;
    assert!(is_corrupt(&spoiled, &blob(1)), "{spoiled:?}");
    assert_eq!(read(store, &blob(2)).await.unwrap(), blob(2));
    let missing = read(store, &blob(3)).await;
    assert!(is_corrupt(&missing, &blob(3)), "{missing:?}");
}

#[tokio::test]
async fn a_day_takes_its_blobs_along_and_those_that_nobody_refers_to() {
    let database = Database::new().await;
    let store = &database.store;
    store
        .namespaces()
        .create(
            NAMESPACE,
            "acme",
            16,
            fulcrum_store::catalog::Once::unnamed(),
        )
        .await
        .unwrap();
    let old = RunId::new(Timestamp::from_millis(1_000_000_000_000), Shard(1), 5);
    let (kept, lost) = (payload_of(old, 1, 10_000), payload_of(old, 2, 10_000));
    let begun = carrying(start(old), std::slice::from_ref(&kept));
    let report = store.flush(vec![begun.clone()]).await.unwrap();
    assert_eq!(
        report.outcomes,
        [CommitOutcome::Committed],
        "its day was made"
    );
    let mut stale = carrying(next(&begun.head), &[lost]);
    stale.expected = Expected::Version(9);
    store.flush(vec![stale]).await.unwrap();
    assert_eq!(counts(&database).await, (0, 2));
    let mut closing = next(&begun.head);
    closing.head.status = RunStatus::Completed;
    closing.head.closed_at = Some(Timestamp(1));
    store.flush(vec![closing]).await.unwrap();

    let upkeep = store.upkeep();
    let leader = upkeep.lead(Uuid::from_u128(1)).await.unwrap().unwrap();
    let done = upkeep.retain(leader, 30).await.unwrap().unwrap();
    assert_eq!(done.days_dropped, 1);
    assert_eq!(counts(&database).await, (0, 0));
    let gone = read(store, &kept).await;
    assert!(is_corrupt(&gone, &kept), "{gone:?}");
}

#[tokio::test]
async fn a_day_without_room_for_blobs_does_not_count_as_ready_and_is_made_whole() {
    let database = Database::new().await;
    let upkeep = database.store.upkeep();
    let ready = upkeep.runway_days().await.unwrap();
    assert!(ready >= 14);
    let day: String =
        sqlx::query_scalar("select to_char((now() at time zone 'UTC')::date + 3, 'YYYYMMDD')")
            .fetch_one(&mut database.raw().await)
            .await
            .unwrap();
    let drop = format!("drop table blobs_p{day}");
    let mut raw = database.raw().await;
    raw.execute(AssertSqlSafe(drop)).await.unwrap();
    assert_eq!(upkeep.runway_days().await.unwrap(), 3);
    assert_eq!(upkeep.make_days_ahead().await.unwrap(), 1);
    assert_eq!(upkeep.runway_days().await.unwrap(), ready);
}

#[tokio::test]
async fn a_blob_is_stored_as_it_is_and_out_of_its_row() {
    let database = Database::new().await;
    let commit = carrying(with_events(start(run(1)), 1), &[blob(1)]);
    database.store.flush(vec![commit]).await.unwrap();
    let storage: String = sqlx::query_scalar(
        "select a.attstorage::text from blobs b join pg_attribute a on a.attrelid = b.tableoid where a.attname = 'data'",
    )
    .fetch_one(&mut database.raw().await)
    .await
    .unwrap();
    assert_eq!(storage, "e", "external");
}
