//! Callers that go away and connections that break.

use std::time::Duration;

use fulcrum_core::store::{CommitOutcome, Store, StoreError};
use sqlx::Executor;

use crate::database::Database;
use crate::sample::{run, start};

const OTHERS: &str =
    "from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_connection_in_a_transaction() {
    let database = Database::new().await;
    for n in 0..100_u64 {
        let flush = database.store.flush(vec![start(run(n))]);
        // From not even begun to nearly done.
        let _ = tokio::time::timeout(Duration::from_micros(n * 100), flush).await;
    }
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
        .flush(vec![start(run(1_000))])
        .await
        .unwrap()
        .outcomes;
    assert_eq!(outcomes, [CommitOutcome::Committed]);
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
