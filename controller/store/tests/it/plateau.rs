//! Steady load through the store: what comes and goes leaves no growing table behind.

use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::store::{Beat, ClaimRequest, Commit, CommitOutcome, RunStatus, Store};
use fulcrum_core::task::{Fence, TaskOp, TaskState};
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::database::Database;
use crate::sample::{NAMESPACE, next, start_with_task, worker};

/// What has to plateau while runs come and go. `runs`, `snapshots` and the timeline leave by retention.
const HOT: [&str; 1] = ["tasks"];

async fn size(connection: &mut PgConnection, table: &str) -> i64 {
    sqlx::query_scalar("select pg_total_relation_size($1::text::regclass)")
        .bind(table)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Starts some runs with a task each, leases and renews them, and closes them.
async fn cycle(database: &Database, born: Timestamp, first: u64, runs: u64) {
    let store = &database.store;
    let started: Vec<Commit> = (first..first + runs)
        .map(|n| {
            let run = RunId::new(born, Shard(3), n);
            start_with_task(run, "a")
        })
        .collect();
    store.flush(started.clone()).await.unwrap();
    let request = ClaimRequest {
        worker: worker(1),
        namespace: NAMESPACE,
        capabilities: vec!["a".to_owned()],
        slots: u32::try_from(runs).unwrap(),
    };
    let granted = store
        .claim(&[request], Millis::from_secs(30))
        .await
        .unwrap();
    assert_eq!(granted.len(), started.len());
    let beats: Vec<Beat> = granted
        .iter()
        .map(|task| Beat {
            lease: task.lease,
            worker: worker(1),
        })
        .collect();
    for _ in 0..3 {
        store
            .heartbeat(&beats, Millis::from_secs(30))
            .await
            .unwrap();
    }
    let closing: Vec<Commit> = started
        .iter()
        .map(|started| {
            let task = granted
                .iter()
                .find(|task| task.run == started.head.run)
                .unwrap();
            let mut commit = next(&started.head);
            commit.head.status = RunStatus::Completed;
            commit.head.closed_at = Some(born);
            commit.fences.push(Fence {
                lease: task.lease,
                holder: Some(worker(1)),
                state: TaskState::Leased,
            });
            commit.tasks.push(TaskOp::Remove {
                task: task.lease.task,
            });
            commit
        })
        .collect();
    let outcomes = store.flush(closing).await.unwrap().outcomes;
    assert!(
        outcomes
            .iter()
            .all(|outcome| *outcome == CommitOutcome::Committed),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn hot_tables_stay_as_large_as_their_busiest_moment() {
    let database = Database::new().await;
    let mut raw = database.raw().await;
    let born = database.store.now().await.unwrap();
    let mut sizes = Vec::new();
    for round in 0..14 {
        for part in 0..3 {
            cycle(&database, born, (round * 3 + part) * 1_000, 150).await;
        }
        // What autovacuum does once a minute.
        for table in HOT {
            raw.execute(AssertSqlSafe(format!(
                "vacuum (analyze, truncate false) {table}"
            )))
            .await
            .unwrap();
        }
        let mut now = Vec::new();
        for table in HOT {
            now.push(size(&mut raw, table).await);
        }
        sizes.push(now);
    }
    // Each round writes as much as the first one did, so that a table whose space is not used again is fourteen times as
    // large in the end. Indexes on random keys fill their pages unevenly, and take a while to settle.
    let (settled, end) = (&sizes[1], &sizes[sizes.len() - 1]);
    for (table, (before, after)) in HOT.iter().zip(settled.iter().zip(end)) {
        assert!(*after <= 2 * before, "{table} grows: {sizes:?}");
    }
}
