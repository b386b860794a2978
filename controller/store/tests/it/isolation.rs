//! What is wrong with one run or one row is nobody else's trouble.

use fulcrum_core::decide::command::{Mail, MailBody, TimerPurpose};
use fulcrum_core::ids::{MailId, RunId, TimerId};
use fulcrum_core::store::{
    ClaimRequest, CommitOutcome, Since, Store, StoreError, SweepKey, TimerOp,
};
use fulcrum_core::task::{Fence, Lease, TaskOp, TaskState};
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::Executor;

use crate::database::Database;
use crate::sample::{NAMESPACE, next, run, start, start_with_task, step, task, worker};

async fn spoil(database: &Database, statement: &'static str) {
    database.raw().await.execute(statement).await.unwrap();
}

#[tokio::test]
async fn a_run_with_a_gap_in_its_timeline_is_loaded_as_corrupt_and_the_others_as_they_are() {
    let database = Database::new().await;
    let store = &database.store;
    let commits = vec![start(run(1)), start(run(2)), start(run(3))];
    let more = next(&commits[1].head);
    store.flush(commits).await.unwrap();
    store.flush(vec![more]).await.unwrap();
    let sound = store
        .load(&[run(1), run(3)], Since::Snapshot)
        .await
        .unwrap();
    let mut raw = database.raw().await;
    sqlx::query("delete from events where stream = $1 and seq <= 2")
        .bind(run(2).0)
        .execute(&mut raw)
        .await
        .unwrap();
    let loaded = store
        .load(&[run(1), run(2), run(3)], Since::Snapshot)
        .await
        .unwrap();
    assert!(
        matches!(&loaded[1], Err(StoreError::Corrupt { run: of, .. }) if *of == run(2)),
        "{:?}",
        loaded[1]
    );
    assert_eq!([&loaded[0], &loaded[2]], [&sound[0], &sound[1]]);
}

#[tokio::test]
async fn a_run_is_loaded_from_its_birth_past_its_snapshot() {
    let database = Database::new().await;
    let store = &database.store;
    let mut commit = start(run(1));
    commit.snapshot = Some(vec![1, 2, 3]);
    store.flush(vec![commit.clone()]).await.unwrap();
    let newest = store.load(&[run(1)], Since::Snapshot).await.unwrap();
    let newest = newest[0].clone().unwrap().unwrap();
    assert!(newest.snapshot.is_some() && newest.events.is_empty());
    let whole = store.load(&[run(1)], Since::Birth).await.unwrap();
    let whole = whole[0].clone().unwrap().unwrap();
    assert_eq!((whole.snapshot, whole.events), (None, commit.events));
}

#[tokio::test]
async fn a_task_that_cannot_be_read_does_not_hide_those_behind_it() {
    let database = Database::new().await;
    let store = &database.store;
    let commits: Vec<_> = (1..=5).map(|n| start_with_task(run(n), "a")).collect();
    store.flush(commits).await.unwrap();
    let claims = [ClaimRequest {
        worker: worker(1),
        namespace: NAMESPACE,
        capabilities: vec!["a".to_owned()],
        slots: 5,
    }];
    assert_eq!(store.claim(&claims, Millis(0)).await.unwrap().len(), 5);
    spoil(
        &database,
        "update tasks set step = 'no key' where task_id in (select task_id from tasks order by due_at, task_id limit 2)",
    )
    .await;
    let mut after: Option<SweepKey> = None;
    let (mut rows, mut unreadable, mut pages) = (0, 0, 0);
    loop {
        let page = store.due_tasks(after, 2).await.unwrap();
        (rows, unreadable) = (rows + page.rows.len(), unreadable + page.unreadable.len());
        pages += 1;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((rows, unreadable, pages), (3, 2, 3));
}

#[tokio::test]
async fn mail_and_timers_that_cannot_be_read_are_named_and_passed_over() {
    let database = Database::new().await;
    let store = &database.store;
    let mut commit = start(run(1));
    for n in 0..3 {
        commit.mail.push(Mail {
            id: MailId::of(run(1), "continue", n),
            to: run(1),
            root: run(1),
            from: run(1),
            body: MailBody::Continue,
        });
        commit.timers.push(TimerOp::Set {
            timer: TimerId::of_step(run(1), &n.to_string(), "wake"),
            run: run(1),
            root: run(1),
            step: step("a"),
            purpose: TimerPurpose::Wake,
            at: Timestamp(0),
        });
    }
    store.flush(vec![commit]).await.unwrap();
    spoil(
        &database,
        "update mail set body = '\\xff' where mail_id = (select min(mail_id::text)::uuid from mail);
         update timers set step = '' where timer_id = (select min(timer_id::text)::uuid from timers)",
    )
    .await;
    let mail = store.pending_mail(Millis(0), None, 10).await.unwrap();
    assert_eq!((mail.rows.len(), mail.unreadable.len()), (2, 1));
    assert_eq!(mail.unreadable[0].run, run(1));
    let timers = store.due_timers(None, 10).await.unwrap();
    assert_eq!((timers.rows.len(), timers.unreadable.len()), (2, 1));
}

#[tokio::test]
async fn what_was_seen_of_a_task_means_nothing_once_it_was_released() {
    let database = Database::new().await;
    let store = &database.store;
    let of: RunId = run(1);
    let mut commit = start(of);
    let mut offered = task(of, "a", "crm.read");
    offered.schedule_to_start = Some(Millis(0));
    commit.tasks.push(TaskOp::Create(offered));
    store.flush(vec![commit]).await.unwrap();
    let claims = [ClaimRequest {
        worker: worker(1),
        namespace: NAMESPACE,
        capabilities: vec!["crm.read".to_owned()],
        slots: 1,
    }];
    let granted = store.claim(&claims, Millis(0)).await.unwrap().remove(0);
    let seen = store.due_tasks(None, 1).await.unwrap().rows.remove(0);
    assert_eq!(seen.state, TaskState::Leased);

    // The worker's report released the task. It is due again, for another reason, and its grants count the same.
    let head = store.heads(&[of]).await.unwrap().remove(0);
    let mut released = next(&head);
    released.tasks.push(TaskOp::Release {
        task: seen.task,
        ready_at: Timestamp(0),
        attempt: 2,
        crash_count: 0,
    });
    store.flush(vec![released]).await.unwrap();
    let again = store.due_tasks(None, 1).await.unwrap().rows.remove(0);
    assert_eq!(
        (again.state, again.lease_seq),
        (TaskState::Ready, granted.lease.seq)
    );

    let acting_on = async |state: TaskState| {
        let head = store.heads(&[of]).await.unwrap().remove(0);
        let mut commit = next(&head);
        let lease = Lease {
            nonce: uuid::Uuid::nil(),
            ..granted.lease
        };
        commit.fences.push(Fence {
            lease,
            holder: None,
            state,
        });
        commit.tasks.push(TaskOp::Remove { task: seen.task });
        (
            store.flush(vec![commit]).await.unwrap().outcomes.remove(0),
            lease,
        )
    };
    let (late, lease) = acting_on(TaskState::Leased).await;
    assert_eq!(late, CommitOutcome::LeaseLost(vec![lease]));
    let (now, _) = acting_on(TaskState::Ready).await;
    assert_eq!(now, CommitOutcome::Committed);
}
