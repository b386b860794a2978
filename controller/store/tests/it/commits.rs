//! Commits: who wins, and that what was said is true.

use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::store::commit::RequestKey;
use fulcrum_core::store::{
    Beat, ClaimRequest, CommitOutcome, Expected, RequestRecord, Since, Store,
};
use fulcrum_core::task::{Fence, Lease, TaskOp, TaskState};
use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_store::catalog::Page;

use crate::database::Database;
use crate::sample::{NAMESPACE, next, payload, run, start, start_with_task, worker};

fn request(capability: &str, slots: u32) -> ClaimRequest {
    ClaimRequest {
        worker: worker(1),
        namespace: NAMESPACE,
        capabilities: vec![capability.to_owned()],
        slots,
    }
}

#[tokio::test]
async fn a_run_is_loaded_as_it_was_committed() {
    let store = Database::new().await;
    let store = &store.store;
    let mut commit = start(run(1));
    commit.payloads.push(payload(3));
    let report = store.flush(vec![commit.clone()]).await.unwrap();
    assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    let loaded = store
        .load(&[run(2), run(1)], Since::Snapshot)
        .await
        .unwrap();
    assert_eq!(loaded[0], Ok(None));
    let loaded = loaded[1].clone().unwrap().unwrap();
    assert_eq!(
        (&loaded.head, &loaded.events, loaded.commit),
        (&commit.head, &commit.events, commit.id)
    );
    let payloads = store.payloads(&[payload(3).reference]).await.unwrap();
    assert_eq!(payloads, [payload(3)]);
}

#[tokio::test]
async fn losers_are_left_out_and_the_others_go_through() {
    let database = Database::new().await;
    let store = &database.store;
    store
        .flush(vec![start(run(1)), start(run(2))])
        .await
        .unwrap();
    let mut stale = next(&start(run(1)).head);
    stale.expected = Expected::Version(7);
    let report = store
        .flush(vec![
            stale,
            start(run(2)),
            next(&start(run(2)).head),
            start(run(3)),
        ])
        .await
        .unwrap();
    use CommitOutcome::{Committed, Conflict};
    assert_eq!(report.outcomes, [Conflict, Conflict, Committed, Committed]);
    assert_eq!(
        store
            .heads(&[run(1), run(2), run(3)])
            .await
            .unwrap()
            .iter()
            .map(|h| h.version)
            .collect::<Vec<_>>(),
        [1, 2, 1]
    );
}

#[tokio::test]
async fn a_key_names_one_run_of_a_workflow_even_within_one_batch() {
    let database = Database::new().await;
    let store = &database.store;
    let keyed = |n: u64| {
        let mut commit = start(RunId::new(crate::sample::BORN, Shard(3), n));
        commit.head.idempotency_key = Some("order-7".to_owned());
        commit
    };
    let report = store.flush(vec![keyed(1), keyed(2)]).await.unwrap();
    let taken = CommitOutcome::KeyTaken(keyed(1).head.run);
    assert_eq!(report.outcomes, [CommitOutcome::Committed, taken.clone()]);
    assert_eq!(store.flush(vec![keyed(3)]).await.unwrap().outcomes, [taken]);
}

#[tokio::test]
async fn of_two_flushes_that_answer_one_request_at_once_one_wins() {
    let database = Database::new().await;
    let store = &database.store;
    let commit = |n: u64| {
        let mut commit = start(run(n));
        let key = RequestKey {
            shard: Shard(0),
            id: "req-1".to_owned(),
        };
        let record = RequestRecord {
            namespace: NAMESPACE,
            key,
            digest: [7; 32],
            run: run(n),
            answer: n.to_be_bytes().to_vec(),
        };
        commit.requests.push(record);
        commit
    };
    let both = (0..16).map(|n| {
        let (store, commit) = (store.clone(), commit(n));
        tokio::spawn(async move { store.flush(vec![commit]).await.unwrap().outcomes.remove(0) })
    });
    let mut outcomes = Vec::new();
    for flush in both.collect::<Vec<_>>() {
        outcomes.push(flush.await.unwrap());
    }
    let winners = outcomes
        .iter()
        .filter(|outcome| **outcome == CommitOutcome::Committed)
        .count();
    assert_eq!(winners, 1);
    let key = RequestKey {
        shard: Shard(0),
        id: "req-1".to_owned(),
    };
    let stored = store.request(NAMESPACE, &key).await.unwrap().unwrap();
    for outcome in outcomes
        .into_iter()
        .filter(|outcome| *outcome != CommitOutcome::Committed)
    {
        assert_eq!(outcome, CommitOutcome::Duplicate(stored.clone()));
    }
}

#[tokio::test]
async fn a_report_under_a_lost_lease_changes_nothing() {
    let database = Database::new().await;
    let store = &database.store;
    let head = start(run(1)).head;
    store
        .flush(vec![start_with_task(run(1), "crm.read")])
        .await
        .unwrap();
    let granted = store
        .claim(&[request("crm.read", 5)], Millis::from_secs(30))
        .await
        .unwrap()
        .remove(0);
    assert!(
        store
            .claim(&[request("crm.read", 5)], Millis::from_secs(30))
            .await
            .unwrap()
            .is_empty()
    );
    let report = |lease, holder| {
        let mut commit = next(&head);
        commit.fences.push(Fence {
            lease,
            holder: Some(holder),
            state: TaskState::Leased,
        });
        commit.tasks.push(TaskOp::Remove {
            task: granted.lease.task,
        });
        commit
    };
    let mut forged = granted.lease;
    forged.nonce = run(9).0;
    for (lease, holder) in [(forged, worker(1)), (granted.lease, worker(2))] {
        let outcomes = store
            .flush(vec![report(lease, holder)])
            .await
            .unwrap()
            .outcomes;
        assert_eq!(outcomes, [CommitOutcome::LeaseLost(vec![lease])]);
    }
    let outcomes = store
        .flush(vec![report(granted.lease, worker(1))])
        .await
        .unwrap()
        .outcomes;
    assert_eq!(outcomes, [CommitOutcome::Committed]);
}

#[tokio::test]
async fn a_run_born_on_a_day_without_partitions_gets_them() {
    let database = Database::new().await;
    let old = RunId::new(Timestamp::from_millis(1_000_000_000_000), Shard(1), 5);
    let report = database
        .store
        .flush(vec![start(old), start(run(1))])
        .await
        .unwrap();
    assert_eq!(
        report.outcomes,
        [CommitOutcome::Committed, CommitOutcome::Committed]
    );
    assert_eq!(
        database
            .store
            .timelines()
            .page(old, Page::first(10), u64::MAX)
            .await
            .unwrap()
            .items
            .len(),
        2
    );
}

#[tokio::test]
async fn a_renewed_lease_is_not_due_and_an_expired_one_is() {
    let database = Database::new().await;
    let store = &database.store;
    store
        .flush(vec![
            start_with_task(run(1), "a"),
            start_with_task(run(2), "a"),
        ])
        .await
        .unwrap();
    let granted = store.claim(&[request("a", 2)], Millis(0)).await.unwrap();
    let beat = fulcrum_core::store::Beat {
        lease: granted[0].lease,
        worker: worker(1),
    };
    store
        .heartbeat(&[beat], Millis::from_secs(3600))
        .await
        .unwrap();
    let due = store.due_tasks(None, 10).await.unwrap();
    assert_eq!(
        due.rows.iter().map(|row| row.task).collect::<Vec<_>>(),
        [granted[1].lease.task]
    );
    let still_scheduled: i64 =
        sqlx::query_scalar("select count(*) from tasks where due_at > now()")
            .fetch_one(&mut database.raw().await)
            .await
            .unwrap();
    assert_eq!(
        still_scheduled, 1,
        "the instant of the renewed lease was put right"
    );
}

#[tokio::test]
async fn the_controller_acts_on_a_task_only_while_it_is_due() {
    let database = Database::new().await;
    let store = &database.store;
    let fenced = |of: RunId, lease, state| {
        let mut commit = next(&start(of).head);
        commit.fences.push(Fence {
            lease,
            holder: None,
            state,
        });
        commit.tasks.push(TaskOp::Remove { task: lease.task });
        commit
    };
    let flush = async |commit| store.flush(vec![commit]).await.unwrap().outcomes.remove(0);

    // Nobody took it in time; it was never granted, so there is no nonce.
    let mut unserved = start_with_task(run(1), "crm.read");
    for op in &mut unserved.tasks {
        if let TaskOp::Create(task) = op {
            task.schedule_to_start = Some(Millis(1));
        }
    }
    assert_eq!(flush(unserved).await, CommitOutcome::Committed);
    let seen = store.due_tasks(None, 10).await.unwrap().rows.remove(0);
    let observed = Lease {
        task: seen.task,
        seq: seen.lease_seq,
        nonce: uuid::Uuid::nil(),
    };
    assert_eq!(
        flush(fenced(run(1), observed, TaskState::Ready)).await,
        CommitOutcome::Committed
    );

    // Its lease ran out when the reaper looked, and was renewed before the reaper's command was committed.
    let offered = start_with_task(run(2), "crm.write");
    assert_eq!(flush(offered).await, CommitOutcome::Committed);
    let claims = [request("crm.write", 1)];
    let granted = store.claim(&claims, Millis(0)).await.unwrap().remove(0);
    assert_eq!(store.due_tasks(None, 10).await.unwrap().rows.len(), 1);
    let beat = Beat {
        lease: granted.lease,
        worker: worker(1),
    };
    store
        .heartbeat(&[beat], Millis::from_secs(30))
        .await
        .unwrap();
    let late = flush(fenced(run(2), granted.lease, TaskState::Leased)).await;
    assert_eq!(late, CommitOutcome::LeaseLost(vec![granted.lease]));
}

#[tokio::test]
async fn a_parked_task_without_a_limit_of_time_gets_none() {
    let database = Database::new().await;
    let store = &database.store;
    let started = vec![start_with_task(run(1), "crm.read")];
    store.flush(started).await.unwrap();
    let claims = [request("crm.read", 1)];
    let lease = Millis::from_secs(30);
    let first = store.claim(&claims, lease).await.unwrap().remove(0);
    let task = first.lease.task;
    for op in [TaskOp::Park { task }, TaskOp::Resume { task }] {
        let head = store.heads(&[run(1)]).await.unwrap().remove(0);
        let mut commit = next(&head);
        commit.tasks.push(op);
        let outcomes = store.flush(vec![commit]).await.unwrap().outcomes;
        assert_eq!(outcomes, [CommitOutcome::Committed]);
    }
    let second = store.claim(&claims, lease).await.unwrap().remove(0);
    assert_eq!((first.close_by, second.close_by), (None, None));
}
