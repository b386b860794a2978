//! Connections: kept apart by purpose, and healed.

use std::time::{Duration, Instant};

use fulcrum_core::store::{Beat, BeatOutcome, ClaimRequest, CommitOutcome, Store};
use fulcrum_core::time::Millis;
use sqlx::Executor;

use crate::database::Database;
use crate::sample::{NAMESPACE, next, run, start, start_with_task, worker};

const LEASE: Millis = Millis::from_secs(30);

#[tokio::test]
async fn leases_are_granted_and_renewed_while_every_request_connection_is_stuck() {
    let database = Database::new().await;
    let store = &database.store;
    store
        .flush(vec![
            start(run(1)),
            start_with_task(run(2), "a"),
            start_with_task(run(3), "a"),
        ])
        .await
        .unwrap();
    let request = ClaimRequest {
        worker: worker(1),
        namespace: NAMESPACE,
        capabilities: vec!["a".to_owned()],
        slots: 1,
    };
    let granted = store
        .claim(std::slice::from_ref(&request), LEASE)
        .await
        .unwrap();
    // Somebody holds the row of run 1; twelve commits of it wait, which are more than there are request connections.
    let mut holder = database.raw().await;
    holder
        .execute("begin; select from runs for update")
        .await
        .unwrap();
    let stuck: Vec<_> = (0..12)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.flush(vec![next(&start(run(1)).head)]).await })
        })
        .collect();
    let mut watcher = database.raw().await;
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(&mut watcher)
        .await
        .unwrap();
        if waiting >= 4 {
            break;
        }
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let beat = Beat {
        lease: granted[0].lease,
        worker: worker(1),
    };
    for _ in 0..20 {
        let renewed = store.heartbeat(&[beat], LEASE).await.unwrap();
        assert!(matches!(renewed[0], BeatOutcome::Extended(_)));
    }
    assert_eq!(store.claim(&[request], LEASE).await.unwrap().len(), 1);
    assert!(began.elapsed() < Duration::from_secs(5));
    holder.execute("rollback").await.unwrap();
    let mut committed = 0;
    for flush in stuck {
        if let Ok(report) = flush.await.unwrap() {
            committed += usize::from(report.outcomes == [CommitOutcome::Committed]);
        }
    }
    assert_eq!(committed, 1);
}

#[tokio::test]
async fn a_server_that_becomes_read_only_under_open_connections_is_left_and_found_again() {
    let database = Database::new().await;
    let store = &database.store;
    store.flush(vec![start(run(1))]).await.unwrap();
    let mut other = database.raw().await;
    let name = database.name();
    let set = async |other: &mut sqlx::PgConnection, what: &str| {
        let sql = format!("alter database {name} {what}");
        other.execute(sqlx::AssertSqlSafe(sql)).await.unwrap();
    };
    // New connections are read-only, and so are the open ones: like an endpoint that moved to a standby.
    set(&mut other, "set default_transaction_read_only = on").await;
    other
        .execute(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    let refused = store.flush(vec![start(run(2))]).await;
    assert!(refused.is_err(), "{refused:?}");
    let sql = "set default_transaction_read_only = off";
    other.execute(sql).await.unwrap();
    set(&mut other, "reset default_transaction_read_only").await;
    let began = Instant::now();
    while store.flush(vec![start(run(2))]).await.is_err() {
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "the pool does not heal"
        );
    }
}

#[tokio::test]
async fn a_lease_is_renewed_although_its_row_changes_at_that_moment() {
    let database = Database::new().await;
    let store = &database.store;
    store
        .flush(vec![start_with_task(run(1), "a")])
        .await
        .unwrap();
    let request = ClaimRequest {
        worker: worker(1),
        namespace: NAMESPACE,
        capabilities: vec!["a".to_owned()],
        slots: 1,
    };
    let granted = store.claim(&[request], LEASE).await.unwrap();
    // As the reaper does when a lease was renewed: it puts the instant right at which to look again.
    let mut reaper = database.raw().await;
    reaper
        .execute("begin; update tasks set due_at = lease_until")
        .await
        .unwrap();
    let beat = Beat {
        lease: granted[0].lease,
        worker: worker(1),
    };
    let beating = {
        let store = store.clone();
        tokio::spawn(async move { store.heartbeat(&[beat], LEASE).await })
    };
    let mut watcher = database.raw().await;
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waits)
        .fetch_one(&mut watcher)
        .await
        .unwrap()
        == 0
    {
        tokio::task::yield_now().await;
    }
    reaper.execute("commit").await.unwrap();
    let renewed = beating.await.unwrap().unwrap();
    assert!(
        matches!(renewed[..], [BeatOutcome::Extended(_)]),
        "{renewed:?}"
    );
}
