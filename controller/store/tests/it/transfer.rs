//! Values that come and go in pieces.

use std::sync::Arc;

use fulcrum_core::ids::{PayloadId, Shard};
use fulcrum_core::payload::{NewPayload, Payload, PayloadRef};
use fulcrum_core::store::{Store, StoreError};
use fulcrum_core::time::Timestamp;
use fulcrum_store::PgStore;
use fulcrum_store::catalog::Once;
use sqlx::types::Uuid;

use crate::database::Database;
use crate::objects::{Site, in_folder};
use crate::sample::{BORN, NAMESPACE, payload_of, run, start};

/// Large enough to be read in several parts, and told apart at every place.
fn value(id: PayloadId) -> NewPayload {
    let data: Vec<u8> = (0..300_000_u32)
        .flat_map(|n| (n * 7).to_le_bytes())
        .collect();
    let payload = Payload {
        encoding: "json".to_owned(),
        data,
    };
    let reference = PayloadRef {
        id,
        hash: payload.hash(),
        bytes: u32::try_from(payload.data.len()).unwrap(),
    };
    NewPayload::new(reference, payload)
}

fn born(n: u64) -> PayloadId {
    PayloadId::staged(BORN, Shard(3), n)
}

/// Staged, read like any payload, and in parts.
async fn comes_and_goes(store: &PgStore, new: NewPayload) {
    let transfer = store.transfer();
    let held = Arc::new(());
    let staged = transfer
        .stage(new.clone(), Arc::clone(&held))
        .await
        .unwrap();
    assert_eq!(staged, new.reference);
    assert_eq!(Arc::strong_count(&held), 1, "the room is given back");
    let read = store.payloads(&[staged]).await.unwrap();
    assert_eq!(read, std::slice::from_ref(&new));
    let bytes = staged.bytes;
    for range in [
        0..1,
        0..bytes,
        1_000..500_000,
        bytes - 1..bytes,
        bytes..bytes,
    ] {
        let part = transfer.part(staged, range.clone()).await.unwrap();
        let (from, to) = (range.start as usize, range.end as usize);
        assert!(part == new.payload.data[from..to], "{range:?}");
    }
}

fn is_corrupt(read: &Result<Vec<u8>, StoreError>) -> bool {
    matches!(read, Err(StoreError::CorruptPayload { .. }))
}

#[tokio::test]
async fn what_is_staged_is_read_whole_and_in_parts() {
    let database = Database::new().await;
    comes_and_goes(&database.store, value(born(1))).await;
}

#[tokio::test]
async fn so_it_is_where_object_storage_has_the_bytes() {
    let site = Site::new().await;
    comes_and_goes(&site.store, value(born(1))).await;
    assert_eq!(objects(&site.database).await, 1);
}

#[tokio::test]
async fn while_a_build_may_be_here_that_knows_of_no_blobs_what_is_staged_stays_in_the_database() {
    let site = Site::new().await;
    // It has not looked what may be written.
    let options = in_folder(&site.database, site.folder.path());
    let store = PgStore::connect(&options).await.unwrap();
    comes_and_goes(&store, value(born(1))).await;
    assert_eq!(objects(&site.database).await, 0);
}

async fn objects(database: &Database) -> i64 {
    sqlx::query_scalar("select count(object) from blobs")
        .fetch_one(&mut database.raw().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_payload_that_is_no_blob_is_read_in_parts_too() {
    let database = Database::new().await;
    let small = payload_of(run(1), 1, 100);
    let mut begun = start(run(1));
    begun.payloads.push(small.clone());
    database.store.flush(vec![begun]).await.unwrap();
    let part = database
        .store
        .transfer()
        .part(small.reference, 10..30)
        .await;
    assert_eq!(part.unwrap(), small.payload.data[10..30]);
}

#[tokio::test]
async fn what_is_missing_or_too_short_is_corrupt() {
    let site = Site::new().await;
    for (n, store) in [(1, &site.database.store), (2, &site.store)] {
        let transfer = store.transfer();
        let new = value(born(n));
        let missing = transfer.part(new.reference, 0..1).await;
        assert!(is_corrupt(&missing), "{missing:?}");
        transfer.stage(new.clone(), ()).await.unwrap();
        let longer = PayloadRef {
            bytes: new.reference.bytes + 10,
            ..new.reference
        };
        let beyond = transfer.part(longer, 5..longer.bytes).await;
        assert!(is_corrupt(&beyond), "{beyond:?}");
    }
}

#[tokio::test]
async fn a_day_that_is_missing_is_made_and_what_nobody_uses_leaves_with_its_day() {
    let database = Database::new().await;
    let store = &database.store;
    let once = Once::unnamed();
    store
        .namespaces()
        .create(NAMESPACE, "acme", 16, once)
        .await
        .unwrap();
    let now = store.now().await.unwrap();
    let new = value(PayloadId::staged(now, Shard(1), 1));
    let long_ago = Timestamp::from_millis(1_000_000_000_000);
    let old = value(PayloadId::staged(long_ago, Shard(1), 2));
    let transfer = store.transfer();
    for value in [&new, &old] {
        transfer.stage(value.clone(), ()).await.unwrap();
    }
    let upkeep = store.upkeep();
    let leader = upkeep.lead(Uuid::from_u128(1)).await.unwrap().unwrap();
    let done = upkeep.retain(leader, 1).await.unwrap().unwrap();
    assert_eq!(done.days_dropped, 1);
    let gone = transfer.part(old.reference, 0..4).await;
    assert!(is_corrupt(&gone), "{gone:?}");
    let kept = transfer.part(new.reference, 0..4).await;
    assert_eq!(kept.unwrap(), new.payload.data[..4], "its day is not over");
}
