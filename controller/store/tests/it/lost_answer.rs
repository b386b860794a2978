//! The answer to a COMMIT gets lost: the store finds out what became of it.

use fulcrum_core::store::{CommitOutcome, Since, Store};

use crate::database::Database;
use crate::proxy::{Break, Proxy};
use crate::sample::{next, run, start, start_with_task};

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
    for (n, when) in [(1, Break::Before), (2, Break::After)] {
        proxy.arm(when);
        let outcomes = store.flush(vec![start(run(n))]).await.unwrap().outcomes;
        assert!(!proxy.is_armed());
        assert_eq!(outcomes, [CommitOutcome::Committed], "{when:?}");
        assert_eq!(
            database.store.heads(&[run(n)]).await.unwrap(),
            [start(run(n)).head]
        );
    }
}
