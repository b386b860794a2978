//! Callers that go away and connections that break.

use std::time::Duration;

use fulcrum_core::store::{Beat, ClaimRequest, CommitOutcome, Since, Store, StoreError};
use fulcrum_core::time::Millis;
use sqlx::Executor;

use crate::database::Database;
use crate::sample::{NAMESPACE, run, start, start_with_task, worker};

const OTHERS: &str =
    "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

/// Waits until nothing is under way, and finds no connection left in a transaction.
async fn is_left_clean(database: &Database) {
    let mut watcher = database.raw().await;
    let busy = format!(
        "select count(*), count(*) filter (where state like 'idle in transaction%' and now() - state_change > '5 s')
         {OTHERS} and state <> 'idle'"
    );
    loop {
        let (busy, left): (i64, i64) = sqlx::query_as(sqlx::AssertSqlSafe(busy.clone()))
            .fetch_one(&mut watcher)
            .await
            .unwrap();
        assert_eq!(left, 0, "a connection was left in a transaction");
        if busy == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let outcomes = database
        .store
        .flush(vec![start(run(100_000))])
        .await
        .unwrap()
        .outcomes;
    assert_eq!(outcomes, [CommitOutcome::Committed]);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_connection_in_a_transaction() {
    let database = Database::new().await;
    for n in 0..100_u64 {
        let flush = database.store.flush(vec![start(run(n))]);
        // From not even begun to nearly done.
        let _ = tokio::time::timeout(Duration::from_micros(n * 100), flush).await;
    }
    is_left_clean(&database).await;
}

#[tokio::test]
async fn callers_that_go_away_under_load_leave_no_connection_in_a_transaction() {
    let database = Database::new().await;
    let calls = (0..400_u64).map(|n| {
        let store = database.store.clone();
        let patience = Duration::from_micros(n * 7_919 % 20_000);
        tokio::spawn(async move {
            let call = async {
                let started = store.flush(vec![start_with_task(run(n), "a")]).await;
                let claims = [ClaimRequest {
                    worker: worker(1),
                    namespace: NAMESPACE,
                    capabilities: vec!["a".to_owned()],
                    slots: 1,
                }];
                for grant in store.claim(&claims, Millis(0)).await? {
                    let beat = Beat {
                        lease: grant.lease,
                        worker: worker(1),
                    };
                    store.heartbeat(&[beat], Millis(0)).await?;
                }
                store.due_tasks(None, 5).await?;
                store.load(&[run(n)], Since::Snapshot).await?;
                started
            };
            match tokio::time::timeout(patience, call).await {
                // More of them at once than there are connections: shedding is an answer, too.
                Err(_) | Ok(Ok(_) | Err(StoreError::Unavailable(_) | StoreError::Full(_))) => {}
                Ok(Err(error)) => panic!("{error}"),
            }
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    is_left_clean(&database).await;
}

#[tokio::test]
async fn what_a_flush_says_is_true_while_connections_are_killed() {
    let database = Database::new().await;
    let store = &database.store;
    let mut killer = database.raw().await;
    let kill = format!("select pg_terminate_backend(pid) {OTHERS} and random() < 0.5");
    let mut told = Vec::new();
    for n in 0..200_u64 {
        // The kill goes out while the flush is under way, each time a little later: after so many turns of the loop.
        let killing = async {
            for _ in 0..n % 40 {
                tokio::task::yield_now().await;
            }
            if n % 2 == 0 {
                killer
                    .execute(sqlx::AssertSqlSafe(kill.clone()))
                    .await
                    .unwrap();
            }
        };
        let (said, ()) = tokio::join!(store.flush(vec![start(run(n))]), killing);
        told.push((n, said));
    }
    let mut refused = 0;
    for (n, said) in told {
        let stored = loop {
            match store.heads(&[run(n)]).await {
                Ok(heads) => break heads.len() == 1,
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        };
        match said {
            Ok(report) => {
                // A flush that had to start over may meet its own commit only if it was told wrongly before.
                assert_eq!(report.outcomes, [CommitOutcome::Committed]);
                assert!(stored, "run {n} was said to be committed");
            }
            Err(StoreError::Unavailable(_)) => {
                refused += 1;
                assert!(!stored, "run {n} was said not to be committed");
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0, "the test killed nothing that was under way");
}
