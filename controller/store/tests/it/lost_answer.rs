//! The answer to a COMMIT gets lost: the store finds out what became of it.

use fulcrum_core::store::{Beat, BeatOutcome, CommitOutcome, Since, Store};
use fulcrum_core::task::{HandOff, TaskOp};
use fulcrum_core::time::Millis;

use crate::database::Database;
use crate::proxy::{Break, Proxy};
use crate::sample::{next, run, start, start_with_task, worker};

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_looked_up_and_told_truly() {
    let database = Database::new().await;
    let proxy = Proxy::start().await;
    let store = database.store_by_way_of(proxy.address).await;
    let (fresh, old) = (start_with_task(run(1), "a"), start(run(2)));
    store.flush(vec![old.clone()]).await.unwrap();
    let mut old = old.head;
    for (n, when) in [Break::After, Break::Before, Break::After, Break::Before]
        .into_iter()
        .enumerate()
    {
        let mut batch = vec![next(&old)];
        if n == 0 {
            batch.push(fresh.clone());
        }
        old = batch[0].head.clone();
        proxy.arm(when);
        let outcomes = store.flush(batch.clone()).await.unwrap().outcomes;
        assert!(!proxy.is_armed(), "the commit was broken {when:?}");
        assert_eq!(
            outcomes,
            vec![CommitOutcome::Committed; batch.len()],
            "{when:?}"
        );
        let loaded = database
            .store
            .load(&[old.run], Since::Snapshot)
            .await
            .unwrap()
            .remove(0)
            .unwrap()
            .unwrap();
        assert_eq!((loaded.head, loaded.commit), (old.clone(), batch[0].id));
    }
}

#[tokio::test]
async fn a_batch_of_new_runs_is_told_truly_too() {
    let database = Database::new().await;
    let proxy = Proxy::start().await;
    let store = database.store_by_way_of(proxy.address).await;
    store.flush(vec![start(run(9))]).await.unwrap();
    for (n, when) in [(1, Break::Before), (2, Break::After)] {
        // One call is the whole transaction; its rows name the run.
        proxy.arm_at(when, run(n).0.as_bytes());
        let outcomes = store.flush(vec![start(run(n))]).await.unwrap().outcomes;
        assert!(!proxy.is_armed());
        assert_eq!(outcomes, [CommitOutcome::Committed], "{when:?}");
        assert_eq!(
            database.store.heads(&[run(n)]).await.unwrap(),
            [start(run(n)).head]
        );
    }
}

#[tokio::test]
async fn a_task_handed_off_by_a_commit_whose_answer_is_lost_is_handed_over_all_the_same() {
    let database = Database::new().await;
    let proxy = Proxy::start().await;
    let store = database.store_by_way_of(proxy.address).await;
    let mut commit = start_with_task(run(1), "a");
    let TaskOp::Create(task) = &commit.tasks[0] else {
        panic!("the sample makes a task");
    };
    let hand = HandOff {
        task: task.task,
        worker: worker(1),
        nonce: run(1).0,
        lease: Millis::from_secs(30),
    };
    commit.hand_offs.push(hand);
    store.flush(vec![start(run(9))]).await.unwrap();
    proxy.arm_at(Break::After, run(1).0.as_bytes());
    let report = store.flush(vec![commit]).await.unwrap();
    assert!(!proxy.is_armed());
    assert_eq!(report.outcomes, [CommitOutcome::Committed]);
    assert_eq!(report.granted.len(), 1);
    assert_eq!(report.granted[0].lease.nonce, hand.nonce);
    let beat = Beat {
        lease: report.granted[0].lease,
        worker: hand.worker,
    };
    let held = database
        .store
        .heartbeat(&[beat], Millis::from_secs(30))
        .await
        .unwrap();
    assert!(matches!(held[0], BeatOutcome::Extended(_)));
}
