//! The installation log: leaves, places, signed heads, and what is told of them.

use std::sync::Arc;

use fulcrum_audit::note::Signer;
use fulcrum_audit::proof::is_consistent;
use fulcrum_audit::{Head, Leaf, NodeHash, Notice, Reached, Tree};
use fulcrum_core::ids::{RunId, Shard};
use fulcrum_core::store::{Commit, RunStatus, Store};
use fulcrum_core::time::Timestamp;
use fulcrum_store::audit::{AuditLog, Placed, StoredKey};
use sqlx::types::Uuid;

use crate::database::Database;
use crate::sample::{NAMESPACE, next, run, start};

fn signer() -> Signer {
    Signer::new("fulcrum/f-07", &Signer::new_key().unwrap()).unwrap()
}

/// One key for all that a test signs.
fn sign() -> Arc<Signer> {
    static SIGNER: std::sync::OnceLock<Arc<Signer>> = std::sync::OnceLock::new();
    Arc::clone(SIGNER.get_or_init(|| Arc::new(signer())))
}

fn reached(commit: &Commit) -> Reached {
    Reached {
        run: commit.head.run.0,
        seq: commit.head.last_seq,
        chain: commit.head.chain.0,
    }
}

async fn leaves(log: &AuditLog) -> Vec<Vec<u8>> {
    let (mut leaves, mut at) = (Vec::new(), 0);
    loop {
        let batches = log.batches(at, 2).await.unwrap();
        let Some(last) = batches.last() else {
            return leaves;
        };
        let next = last.first + last.leaves.len() as u64;
        if next == at {
            return leaves;
        }
        leaves.extend(
            batches
                .into_iter()
                .filter(|batch| batch.first >= at)
                .flat_map(|batch| batch.leaves),
        );
        at = next;
    }
}

fn root(leaves: &[Vec<u8>]) -> NodeHash {
    let mut tree = Tree::default();
    for leaf in leaves {
        tree.append(NodeHash::leaf(leaf));
    }
    tree.root()
}

#[tokio::test]
async fn what_a_flush_commits_is_one_leaf_and_what_it_does_not_is_none() {
    let database = Database::new().await;
    let (store, log) = (&database.store, database.store.audit());
    let two = vec![start(run(2)), start(run(1))];
    let mut expected = vec![two.iter().map(reached).collect::<Vec<_>>()];
    expected[0].sort_unstable();
    store.flush(two).await.unwrap();
    let good = next(&start(run(1)).head);
    // The second of these is based on what is not there, so the flush is judged.
    let mut stale = next(&start(run(2)).head);
    stale.before.0 = [7; 32];
    expected.push(vec![reached(&good)]);
    store.flush(vec![good, stale.clone()]).await.unwrap();
    store.flush(vec![stale]).await.unwrap();

    let placed = log.place(sign()).await.unwrap();
    assert!(
        matches!(
            placed,
            Placed::Some {
                leaves: 2,
                more: false,
                ..
            }
        ),
        "{placed:?}"
    );
    assert_eq!(log.place(sign()).await.unwrap(), Placed::Nothing);
    let found: Vec<Leaf> = leaves(&log)
        .await
        .iter()
        .map(|leaf| Leaf::read(leaf).unwrap())
        .collect();
    let expected: Vec<Leaf> = expected.into_iter().map(Leaf::Commit).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn before_the_level_is_raised_nothing_is_left() {
    let database = Database::new().await;
    sqlx::query("update versions set feature_level = 2")
        .execute(&mut database.raw().await)
        .await
        .unwrap();
    database.store.flush(vec![start(run(1))]).await.unwrap();
    assert_eq!(
        database.store.audit().place(sign()).await.unwrap(),
        Placed::Nothing
    );
}

#[tokio::test]
async fn every_head_adds_to_those_before_it_and_its_signature_holds() {
    let database = Database::new().await;
    let (store, log) = (&database.store, database.store.audit());
    let sign = Arc::new(signer());
    let verifier = sign.verifier().clone();
    assert_eq!(log.head(0).await.unwrap(), None);
    let (mut heads, mut commit): (Vec<Head>, _) = (Vec::new(), start(run(1)));
    // Past the first tile, so that proofs need it.
    for n in 0..300 {
        let after = next(&commit.head);
        store
            .flush(vec![std::mem::replace(&mut commit, after)])
            .await
            .unwrap();
        if n % 37 == 0 || n > 250 && n % 3 == 0 {
            let placed = log.place(Arc::clone(&sign)).await.unwrap();
            let Placed::Some { head, .. } = placed else {
                panic!("{placed:?}");
            };
            for known in &heads {
                let told = log.head(known.size).await.unwrap().unwrap();
                assert_eq!(verifier.open(&told.note), Ok(head));
                let proof = told.hashes.unwrap();
                let (known, new) = ((known.size, known.root), (head.size, head.root));
                assert!(is_consistent(known, new, &proof), "{known:?} → {new:?}");
            }
            heads.push(head);
        }
    }
    let (last, leaves) = (heads.last().unwrap(), leaves(&log).await);
    assert_eq!(last.root, root(&leaves));
    // What follows an edge gives the same root.
    let edge = log.edge(257).await.unwrap().unwrap().hashes.unwrap();
    let mut tree = Tree::resume(257, &edge).unwrap();
    for leaf in &leaves[257..] {
        tree.append(NodeHash::leaf(leaf));
    }
    assert_eq!(tree.root(), last.root);
}

#[tokio::test]
async fn many_give_places_at_once_and_each_leaf_gets_one() {
    let database = Database::new().await;
    let log = database.store.audit();
    let mut at_work = tokio::task::JoinSet::new();
    for n in 1..=40 {
        let (store, log, sign) = (database.store.clone(), log.clone(), sign());
        at_work.spawn(async move {
            store.flush(vec![start(run(n))]).await.unwrap();
            log.place(sign).await.unwrap()
        });
    }
    at_work.join_all().await;
    log.place(sign()).await.unwrap();
    let leaves = leaves(&log).await;
    let mut runs: Vec<Uuid> = leaves
        .iter()
        .flat_map(|leaf| match Leaf::read(leaf).unwrap() {
            Leaf::Commit(reached) => reached.into_iter().map(|reached| reached.run).collect(),
            Leaf::Notice(_) => Vec::new(),
        })
        .collect();
    runs.sort_unstable();
    let mut all: Vec<Uuid> = (1..=40).map(|n| run(n).0).collect();
    all.sort_unstable();
    assert_eq!(runs, all);
    let head = log.head(0).await.unwrap().unwrap();
    assert_eq!(head.size, leaves.len() as u64);
}

#[tokio::test]
async fn the_log_begins_once() {
    let database = Database::new().await;
    let log = database.store.audit();
    let key = |verifier: &str| StoredKey {
        verifier: verifier.to_owned(),
        sealed: vec![1],
    };
    for verifier in ["first", "second"] {
        log.begin(key(verifier), Leaf::notice(&began()))
            .await
            .unwrap();
    }
    assert_eq!(log.keys().await.unwrap(), [key("first")]);
    log.place(sign()).await.unwrap();
    assert_eq!(leaves(&log).await, [Leaf::notice(&began())]);
}

fn began() -> Notice {
    Notice::Began {
        install: "f-07".to_owned(),
        at_us: 1,
    }
}

#[tokio::test]
async fn leaves_leave_after_the_days_they_speak_of_and_the_log_goes_on() {
    let database = Database::new().await;
    let (store, log) = (&database.store, database.store.audit());
    let acme = store.namespaces();
    let once = fulcrum_store::catalog::Once::unnamed();
    acme.create(NAMESPACE, "acme", 16, once).await.unwrap();
    let old = RunId::new(Timestamp::from_millis(1_000_000_000_000), Shard(1), 1);
    let begun = start(old);
    let mut ended = next(&begun.head);
    ended.head.status = RunStatus::Completed;
    ended.head.closed_at = Some(Timestamp(1));
    let chain = ended.head.chain.0;
    store.flush(vec![begun]).await.unwrap();
    store.flush(vec![ended]).await.unwrap();
    log.place(sign()).await.unwrap();
    let before = log.head(0).await.unwrap().unwrap();

    let retain = async || {
        let leader = store
            .upkeep()
            .lead(Uuid::from_u128(1))
            .await
            .unwrap()
            .unwrap();
        store.upkeep().retain(leader, 30).await.unwrap().unwrap()
    };
    assert_eq!(retain().await.days_dropped, 1);
    log.place(sign()).await.unwrap();
    let day = leaves(&log).await.pop().unwrap();
    let Leaf::Notice(Notice::DayLeft { day, runs, root }) = Leaf::read(&day).unwrap() else {
        panic!("{day:?}");
    };
    let digest = <sha2::Sha256 as sha2::Digest>::digest(chain);
    assert_eq!(
        (day.as_str(), runs, root),
        ("2001-09-09", 1, hex::encode(digest))
    );

    // The leaves are as young as this test; made older than every day that is left, they go.
    sqlx::query("update audit_batches set signed_at = '2002-01-01' where first = 0")
        .execute(&mut database.raw().await)
        .await
        .unwrap();
    assert_eq!(retain().await.days_dropped, 0);
    let kept = log.batches(0, 10).await.unwrap();
    assert_eq!((kept.len(), kept[0].first), (1, 2));
    let told = log.head(before.size).await.unwrap().unwrap();
    assert_eq!((told.first, told.size), (2, 3));
    // The leaves are gone, and the log can still be followed from before and from where it begins.
    assert!(told.hashes.is_some());
    let edge = log.edge(2).await.unwrap().unwrap().hashes.unwrap();
    let mut tree = Tree::resume(2, &edge).unwrap();
    tree.append(NodeHash::leaf(&kept[0].leaves[0]));
    assert_eq!(tree.size(), told.size);
}

#[tokio::test]
async fn what_was_put_in_the_place_of_a_signed_head_is_not_signed() {
    let database = Database::new().await;
    let (store, log) = (&database.store, database.store.audit());
    store.flush(vec![start(run(1))]).await.unwrap();
    log.place(sign()).await.unwrap();
    store.flush(vec![start(run(2))]).await.unwrap();
    for change in [
        "update audit_log set edge = set_byte(edge, 0, 255 - get_byte(edge, 0))",
        "update audit_log set note = null",
    ] {
        let mut raw = database.raw().await;
        sqlx::query("create table kept as table audit_log")
            .execute(&mut raw)
            .await
            .unwrap();
        sqlx::query(sqlx::AssertSqlSafe(change))
            .execute(&mut raw)
            .await
            .unwrap();
        let refused = log.place(sign()).await;
        assert!(refused.is_err(), "{change}: {refused:?}");
        for back in [
            "delete from audit_log",
            "insert into audit_log table kept",
            "drop table kept",
        ] {
            sqlx::query(back).execute(&mut raw).await.unwrap();
        }
    }
}
