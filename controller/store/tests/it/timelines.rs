//! Timelines: long ones page by page, by index, from the partition of their day alone.

use fulcrum_core::store::{Since, Store, StoredEvent};
use fulcrum_store::catalog::{Page, Portion, Rest};
use fulcrum_store::versions::{ControllerRow, FeatureLevel};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::database::Database;
use crate::sample::{next, run, start, with_events};

const EVENTS: u64 = 100_000;
/// Events of one commit when the run is made.
const STEP: u64 = 5_000;

async fn long_run(database: &Database) {
    let mut commit = start(run(1));
    loop {
        let missing = EVENTS - commit.head.last_seq;
        let commits = with_events(commit, missing.min(STEP));
        let head = commits.head.clone();
        database.store.flush(vec![commits]).await.unwrap();
        if head.last_seq == EVENTS {
            return;
        }
        commit = next(&head);
    }
}

async fn page(database: &Database, after: u64, rows: u32, bytes: u64) -> Portion<StoredEvent> {
    let page = Page {
        after: Some(after),
        rows,
    };
    let timelines = database.store.timelines();
    timelines.page(run(1), page, bytes).await.unwrap()
}

#[tokio::test]
async fn a_hundred_thousand_events_are_read_in_pages_of_bounded_rows_and_bytes() {
    let database = Database::new().await;
    long_run(&database).await;
    let (mut after, mut pages) = (0, 0);
    loop {
        let read = page(&database, after, 1_000, u64::MAX).await;
        assert!(read.items.len() <= 1_000);
        let expected = after + 1..=after + read.items.len() as u64;
        assert!(read.items.iter().map(|event| event.seq).eq(expected));
        after += read.items.len() as u64;
        pages += 1;
        if read.rest == Rest::Nothing {
            break;
        }
    }
    assert_eq!((after, pages), (EVENTS, 100));
    // Each body has 40 bytes.
    let narrow = page(&database, 500, 1_000, 400).await;
    assert_eq!((narrow.items.len(), narrow.rest), (10, Rest::More));
    let one = page(&database, 500, 1_000, 1).await;
    assert_eq!((one.items[0].seq, one.items.len()), (501, 1));
    assert_eq!(page(&database, EVENTS, 10, 1).await.items, []);
}

#[tokio::test]
async fn a_page_goes_by_the_index_of_one_partition() {
    let database = Database::new().await;
    let commit = with_events(start(run(1)), 5_000);
    database.store.flush(vec![commit]).await.unwrap();
    let mut connection = database.raw().await;
    let timeline = include_str!("../../queries/views/timeline.sql");
    let prepare = format!(
        "set plan_cache_mode = force_generic_plan;
         prepare page (smallint, uuid, bigint, bigint, bigint) as {timeline}"
    );
    connection.execute(AssertSqlSafe(prepare)).await.unwrap();
    let explain = format!(
        "explain (analyze, costs off, timing off) execute page (1, '{}', 1000, 11, 1000000)",
        run(1).0
    );
    let rows: Vec<(String,)> = sqlx::query_as(AssertSqlSafe(explain))
        .persistent(false)
        .fetch_all(&mut connection)
        .await
        .unwrap();
    let plan: String = rows.into_iter().map(|(line,)| line + "\n").collect();
    assert!(plan.contains("Subplans Removed"), "{plan}");
    let scans = plan.matches("Scan using events_p").count() + plan.matches(" on events_p").count();
    assert_eq!(
        scans,
        1 + plan.matches("_pkey on events_p").count(),
        "{plan}"
    );
    assert!(!plan.contains("Seq Scan"), "{plan}");
    assert!(plan.contains("Index Cond"), "{plan}");
    // It stops after the rows of the page, however many there are.
    assert!(plan.contains("rows=11 loops=1"), "{plan}");
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_timeline_written_on_both_sides_of_a_level_is_one() {
    let database = Database::fresh().await;
    let (store, versions) = (&database.store, database.store.versions());
    let mut raw = database.raw().await;
    let rows = "select count(*) from events";
    let mut written = with_events(start(run(1)), 4);
    store.flush(vec![written.clone()]).await.unwrap();
    let each: i64 = sqlx::query_scalar(rows).fetch_one(&mut raw).await.unwrap();
    assert_eq!(
        each, 6,
        "a store that has not looked writes for all to read"
    );
    let me = ControllerRow {
        id: Uuid::from_u128(1),
        build: "test".to_owned(),
        level_max: FeatureLevel::MAX,
    };
    versions.enter(&me).await.unwrap();
    let more = with_events(next(&written.head), 4);
    store.flush(vec![more.clone()]).await.unwrap();
    let bundled: i64 = sqlx::query_scalar(rows).fetch_one(&mut raw).await.unwrap();
    assert_eq!(bundled, each + 1);

    written.events.extend(more.events);
    let loaded = store.load(&[run(1)], Since::Birth).await.unwrap();
    assert_eq!(
        loaded[0].as_ref().unwrap().as_ref().unwrap().events,
        written.events
    );
    // A page may begin and end within a row.
    let middle = page(&database, 7, 2, u64::MAX).await;
    let shown = &written.events[7..9];
    assert_eq!((&middle.items[..], middle.rest), (shown, Rest::More));
    let linked = store.timelines().of_kind(&[run(1)], 2).await.unwrap();
    assert_eq!(linked.len(), written.events.len());
    for (place, linked) in linked.iter().enumerate() {
        assert_eq!(linked.event, written.events[place]);
        let previous = place
            .checked_sub(1)
            .map(|before| written.events[before].hash);
        assert_eq!(linked.previous, previous.unwrap_or_default());
    }
}
