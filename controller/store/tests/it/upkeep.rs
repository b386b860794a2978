//! Retention, partitions, statistics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::store::{Commit, CommitOutcome, RunStatus, Store};
use fulcrum_core::time::Timestamp;
use fulcrum_store::upkeep::{AlarmKind, Leader, Retained};
use sqlx::Executor;
use sqlx::types::Uuid;

use crate::database::Database;
use crate::sample::{NAMESPACE, next, start};

/// Longer than anything here takes; only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

fn old(day: i64, n: u64) -> RunId {
    RunId::new(
        Timestamp::from_millis(1_000_000_000_000 + day * 86_400_000),
        Shard(1),
        n,
    )
}

fn closing(run: RunId, at: Timestamp) -> Commit {
    let mut commit = next(&start(run).head);
    commit.head.status = RunStatus::Completed;
    commit.head.closed_at = Some(at);
    commit
}

async fn with_namespace() -> Database {
    let database = Database::new().await;
    database
        .store
        .namespaces()
        .create(
            NAMESPACE,
            "acme",
            16,
            fulcrum_store::catalog::Once::unnamed(),
        )
        .await
        .unwrap();
    database
}

async fn lead(database: &Database, n: u128) -> Option<Leader> {
    let upkeep = database.store.upkeep();
    upkeep.lead(Uuid::from_u128(n)).await.unwrap()
}

async fn retain(database: &Database) -> Retained {
    let leader = lead(database, 1).await.unwrap();
    database
        .store
        .upkeep()
        .retain(leader, 30)
        .await
        .unwrap()
        .unwrap()
}

async fn tables_of(database: &Database, day: &str) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_class where relkind = 'r' and relname like '%_p' || $1",
    )
    .bind(day)
    .fetch_one(&mut database.raw().await)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_day_leaves_when_all_its_runs_are_closed_and_its_chains_are_logged() {
    let database = with_namespace().await;
    let store = &database.store;
    let fresh = RunId::new(store.now().await.unwrap(), Shard(1), 4);
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
        store
            .flush(vec![closing(closed, Timestamp(1))])
            .await
            .unwrap();
    }
    let done = retain(&database).await;
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
    assert_eq!(tables_of(&database, "20010909").await, 0);
    assert_eq!(retain(&database).await.days_dropped, 0);
}

#[tokio::test]
async fn a_run_is_kept_for_its_days_after_closing_however_old_it_is() {
    let database = with_namespace().await;
    let store = &database.store;
    store.flush(vec![start(old(0, 1))]).await.unwrap();
    let yesterday = Timestamp(store.now().await.unwrap().0 - 86_400_000_000);
    store
        .flush(vec![closing(old(0, 1), yesterday)])
        .await
        .unwrap();
    let done = retain(&database).await;
    assert_eq!((done.days_dropped, done.days_held_open), (0, 1));
    assert_eq!(store.heads(&[old(0, 1)]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_clean_up_that_was_killed_goes_on_where_it_stopped() {
    let database = with_namespace().await;
    let store = &database.store;
    store.flush(vec![start(old(0, 1))]).await.unwrap();
    store
        .flush(vec![closing(old(0, 1), Timestamp(1))])
        .await
        .unwrap();
    let mut raw = database.raw().await;
    // Each line is where a kill may have left things: logged; emptied; one table detached; one of them dropped.
    for reached in [
        "select fulcrum_retire_day('2001-09-09', interval '1 day')",
        "select fulcrum_delete_run_batch('2001-09-09', 1000)",
        "alter table events detach partition events_p20010909",
        "drop table events_p20010909",
    ] {
        raw.execute(reached).await.unwrap();
    }
    assert_eq!(tables_of(&database, "20010909").await, 2);
    let done = retain(&database).await;
    assert_eq!((done.days_dropped, done.days_in_the_way), (1, 0));
    assert_eq!(tables_of(&database, "20010909").await, 0);
}

#[tokio::test]
async fn a_detach_that_was_killed_half_way_is_finished() {
    let database = with_namespace().await;
    let store = &database.store;
    store.flush(vec![start(old(0, 1))]).await.unwrap();
    store
        .flush(vec![closing(old(0, 1), Timestamp(1))])
        .await
        .unwrap();
    // A reader of the day holds up the second half of a detach, which is killed there.
    let mut reader = database.raw().await;
    reader
        .execute("begin; select count(*) from events")
        .await
        .unwrap();
    let mut detacher = database.raw().await;
    detacher
        .execute("set lock_timeout = '100ms'")
        .await
        .unwrap();
    let detached = detacher
        .execute("alter table events detach partition events_p20010909 concurrently")
        .await;
    assert!(detached.is_err(), "the reader is in the way");
    reader.execute("rollback").await.unwrap();
    let done = retain(&database).await;
    assert_eq!(done.days_dropped, 1);
    assert_eq!(tables_of(&database, "20010909").await, 0);
}

#[tokio::test]
async fn a_leader_that_was_stopped_is_refused_once_another_has_taken_over() {
    let database = with_namespace().await;
    let upkeep = database.store.upkeep();
    let store = &database.store;
    store.flush(vec![start(old(0, 1))]).await.unwrap();
    store
        .flush(vec![closing(old(0, 1), Timestamp(1))])
        .await
        .unwrap();
    let stopped = lead(&database, 1).await.unwrap();
    assert!(lead(&database, 2).await.is_none(), "there is one already");
    assert_eq!(lead(&database, 1).await, Some(stopped), "it goes on");
    database
        .raw()
        .await
        .execute("update upkeep_leadership set held_until = now() - interval '1 s'")
        .await
        .unwrap();
    let successor = lead(&database, 2).await.unwrap();
    assert_eq!(upkeep.retain(stopped, 30).await.unwrap(), None);
    assert_eq!(store.heads(&[old(0, 1)]).await.unwrap().len(), 1);
    let done = upkeep.retain(successor, 30).await.unwrap().unwrap();
    assert_eq!(done.days_dropped, 1);
}

#[tokio::test]
async fn partitions_are_made_ahead_once() {
    let database = Database::new().await;
    assert_eq!(database.store.upkeep().make_days_ahead().await.unwrap(), 0);
    assert!(database.store.upkeep().runway_days().await.unwrap() >= 14);
}

#[tokio::test]
async fn a_missing_partition_is_made_at_once_and_alarmed() {
    let database = with_namespace().await;
    database.store.flush(vec![start(old(0, 1))]).await.unwrap();
    let found = database
        .store
        .examine(fulcrum_core::time::Millis(1_000))
        .await
        .unwrap();
    assert_eq!(found.alarms[0].kind, AlarmKind::PartitionMissing);
}

#[tokio::test]
async fn days_come_and_go_while_runs_are_started_and_none_is_refused() {
    let database = with_namespace().await;
    let store = &database.store;
    let days = 8;
    for day in 0..days {
        let run = old(day, 1);
        store.flush(vec![start(run)]).await.unwrap();
        store.flush(vec![closing(run, Timestamp(1))]).await.unwrap();
    }
    let born = store.now().await.unwrap();
    let stop = Arc::<AtomicBool>::default();
    let writers: Vec<_> = (0..3_u64)
        .map(|writer| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                let (mut n, mut longest) = (0_u64, Duration::ZERO);
                while !stop.load(Ordering::Relaxed) {
                    let run = RunId::new(born, Shard(2), writer * 1_000_000 + n);
                    let began = Instant::now();
                    let report = store.flush(vec![start(run)]).await.unwrap();
                    longest = longest.max(began.elapsed());
                    assert_eq!(report.outcomes, [CommitOutcome::Committed]);
                    n += 1;
                }
                (n, longest)
            })
        })
        .collect();
    let mut raw = database.raw().await;
    let began = Instant::now();
    let mut dropped = 0;
    while dropped < days {
        dropped += i64::from(retain(&database).await.days_dropped);
        // And a day comes, far ahead, as one does each midnight.
        raw.execute(sqlx::AssertSqlSafe(format!(
            "select fulcrum_make_day((now() at time zone 'UTC')::date + {})",
            30 + dropped
        )))
        .await
        .unwrap();
        assert!(began.elapsed() < PATIENCE, "{dropped} days left so far");
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        let (runs, longest) = writer.await.unwrap();
        assert!(runs > 0);
        // No lock of upkeep is waited for longer than its budget, on a loaded machine.
        assert!(longest < Duration::from_secs(5), "a flush took {longest:?}");
    }
}

#[tokio::test]
async fn a_table_that_outgrew_its_statistics_is_analysed() {
    let database = Database::new().await;
    let upkeep = database.store.upkeep();
    let mut raw = database.raw().await;
    raw.execute(
        "insert into timers (shard, timer_id, run_id, root_id, step, purpose, fires_at)
         select 1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'a~1', 'wake', now() from generate_series(1, 2000)",
    )
    .await
    .unwrap();
    let began = Instant::now();
    // The counters of a session reach the others a moment later.
    raw.execute("select pg_stat_force_next_flush()")
        .await
        .unwrap();
    while upkeep.refresh_statistics().await.unwrap() == 0 {
        assert!(began.elapsed() < PATIENCE, "nothing was analysed");
        tokio::task::yield_now().await;
    }
    let rows: f32 = sqlx::query_scalar("select reltuples from pg_class where relname = 'timers'")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(rows, 2_000.0);
}
