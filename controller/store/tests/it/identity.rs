//! Tokens, identities, workers.

use std::collections::BTreeMap;

use fulcrum_core::contract::EffectClass;
use fulcrum_core::ids::{ContractHash, WorkerId};
use fulcrum_core::time::Timestamp;
use fulcrum_store::catalog::{Answered, NewContract, Once, Page};
use fulcrum_store::identity::{
    AuthorityKind, AuthorityRow, Draining, IdentityKind, IdentityStatus, InstallationRow,
    NewIdentity, NewJoinToken, NewWorker, RedeemRefusal, RenewRefusal,
};
use sqlx::types::Uuid;

use crate::database::Database;
use crate::sample::NAMESPACE;

const LATER: Timestamp = Timestamp::from_millis(4_000_000_000_000);

fn identity(n: u128, name: &str) -> NewIdentity {
    NewIdentity {
        id: Uuid::from_u128(n),
        namespace: "acme".to_owned(),
        kind: IdentityKind::Connector,
        name: name.to_owned(),
        serial: format!("{n:x}"),
        public_key_sha256: vec![1; 32],
        not_after: LATER,
        min_issued_at: Timestamp(0),
        capability_patterns: vec!["crm.*".to_owned()],
    }
}

fn token(n: u128, expires_at: Timestamp) -> NewJoinToken {
    NewJoinToken {
        id: Uuid::from_u128(n),
        secret_hash: [9; 32],
        namespace: "acme".to_owned(),
        kind: IdentityKind::Connector,
        name: "edge".to_owned(),
        capability_patterns: vec![],
        expires_at,
        created_by: "ada".to_owned(),
    }
}

async fn installed() -> Database {
    let database = Database::new().await;
    let row = InstallationRow {
        install_id: "f-1".to_owned(),
        paging_key: vec![1; 32],
    };
    database
        .store
        .installation()
        .init(row, vec![])
        .await
        .unwrap();
    database
}

#[tokio::test]
async fn controllers_that_start_at_once_agree_on_the_first_installation() {
    let database = Database::new().await;
    let init = |n: u8| {
        let installation = database.store.installation();
        tokio::spawn(async move {
            let row = InstallationRow {
                install_id: format!("f-{n}"),
                paging_key: vec![n; 32],
            };
            let root = AuthorityRow {
                serial: format!("{n}"),
                kind: AuthorityKind::Root,
                cert_pem: String::new(),
                key_pem: vec![],
                not_after: LATER,
            };
            installation.init(row, vec![root]).await.unwrap()
        })
    };
    let (one, two) = (init(1), init(2));
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert_eq!(one, two);
    assert_eq!(one.1.len(), 1);
}

#[tokio::test]
async fn a_key_is_put_in_another_form_only_if_it_is_in_the_one_that_was_seen() {
    let database = Database::new().await;
    let installation = database.store.installation();
    let authority = |serial: &str| AuthorityRow {
        serial: serial.to_owned(),
        kind: AuthorityKind::Issuing,
        cert_pem: String::new(),
        key_pem: b"clear".to_vec(),
        not_after: LATER,
    };
    let row = InstallationRow {
        install_id: "f-1".to_owned(),
        paging_key: vec![1; 32],
    };
    let authorities = vec![authority("a"), authority("b")];
    installation.init(row, authorities).await.unwrap();

    let paging = |from: &[u8], to: u8| installation.reseal_paging_key(from.to_vec(), vec![to; 69]);
    assert!(paging(&[1; 32], 2).await.unwrap());
    assert!(!paging(&[1; 32], 3).await.unwrap(), "another was first");
    let key = |from: &[u8], to: &[u8]| {
        installation.reseal_authority("a".to_owned(), from.to_vec(), to.to_vec())
    };
    assert!(key(b"clear", b"sealed").await.unwrap());
    assert!(!key(b"clear", b"late").await.unwrap(), "another was first");

    let stored = installation.get().await.unwrap().unwrap();
    assert_eq!(stored.paging_key, [2; 69]);
    let keys = installation.authorities().await.unwrap();
    let keys: Vec<_> = keys.iter().map(|row| row.key_pem.as_slice()).collect();
    assert_eq!(keys, [b"sealed".as_slice(), b"clear"], "of that one only");
}

#[tokio::test]
async fn a_token_is_redeemed_once() {
    let database = installed().await;
    let tokens = database.store.join_tokens();
    let ids = [1, 2, 3].map(Uuid::from_u128);
    tokens
        .create(token(1, LATER), Once::unnamed())
        .await
        .unwrap();
    tokens
        .create(token(2, Timestamp(0)), Once::unnamed())
        .await
        .unwrap();
    tokens
        .create(token(3, LATER), Once::unnamed())
        .await
        .unwrap();
    assert!(tokens.revoke(ids[2]).await.unwrap());
    let both = [10, 11].map(|n| {
        let tokens = tokens.clone();
        tokio::spawn(async move {
            tokens
                .redeem(Uuid::from_u128(1), identity(n, "edge"))
                .await
                .unwrap()
        })
    });
    let mut results = Vec::new();
    for redeemed in both {
        results.push(redeemed.await.unwrap());
    }
    results.sort_by_key(Result::is_err);
    assert_eq!(results, [Ok(()), Err(RedeemRefusal::Used)]);
    let redeem = async |id: Uuid| tokens.redeem(id, identity(12, "edge")).await.unwrap();
    assert_eq!(redeem(ids[1]).await, Err(RedeemRefusal::Expired));
    assert_eq!(redeem(ids[2]).await, Err(RedeemRefusal::Revoked));
    assert_eq!(
        redeem(Uuid::from_u128(9)).await,
        Err(RedeemRefusal::Unknown)
    );
    assert_eq!(
        database
            .store
            .identities()
            .list(Some("acme"), &[], Page::first(9))
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn every_change_of_standing_raises_the_revision() {
    let database = installed().await;
    let identities = database.store.identities();
    let revision = async || identities.snapshot(-1).await.unwrap().unwrap();
    assert_eq!(revision().await.revision, 0);
    identities.insert(identity(1, "edge")).await.unwrap();
    assert_eq!(revision().await.revision, 1);
    identities.insert(identity(2, "edge")).await.unwrap();
    let replaced = identities.get(Uuid::from_u128(1)).await.unwrap().unwrap();
    assert_eq!(
        replaced.status,
        IdentityStatus::Revoked,
        "a namesake takes the name over"
    );
    assert_eq!(
        identities
            .revoke(Uuid::from_u128(2), "lost", Once::unnamed())
            .await
            .unwrap(),
        Answered::Now(true)
    );
    assert_eq!(
        identities
            .revoke(Uuid::from_u128(7), "unknown", Once::unnamed())
            .await
            .unwrap(),
        Answered::Now(false)
    );
    let renewed = identities
        .renew(Uuid::from_u128(2), "ff", &[2; 32], LATER)
        .await
        .unwrap();
    assert_eq!(renewed, Err(RenewRefusal::Revoked));
    let snapshot = revision().await;
    assert_eq!(snapshot.standings.len(), 2);
    assert!(
        snapshot
            .standings
            .iter()
            .all(|standing| standing.status == IdentityStatus::Revoked)
    );
    assert_eq!(identities.snapshot(snapshot.revision).await.unwrap(), None);
}

#[tokio::test]
async fn the_newest_contract_that_somebody_serves_is_in_force() {
    let database = installed().await;
    let store = &database.store;
    store
        .identities()
        .insert(identity(1, "edge"))
        .await
        .unwrap();
    let contract = |n: u8| NewContract {
        capability: "crm.read".to_owned(),
        hash: ContractHash([n; 32]),
        version: n.to_string(),
        effect: EffectClass::Read,
        body: vec![n],
    };
    let worker = NewWorker {
        worker: WorkerId(Uuid::from_u128(1)),
        namespace: NAMESPACE,
        instance: Uuid::from_u128(5),
        sdk_version: "0.1.0".to_owned(),
        labels: BTreeMap::from([("site".to_owned(), "berlin".to_owned())]),
        slots: 8,
        draining: Draining::No,
    };
    for served in [contract(1), contract(2), contract(1)] {
        store
            .workers()
            .register(worker.clone(), vec![served.clone()])
            .await
            .unwrap();
        let current = store
            .contracts()
            .current(NAMESPACE, "crm.read")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (current.contract.contract, current.workers_serving),
            (served, 1)
        );
    }
    store
        .identities()
        .revoke(Uuid::from_u128(1), "gone", Once::unnamed())
        .await
        .unwrap();
    let newest = store
        .contracts()
        .current(NAMESPACE, "crm.read")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (newest.contract.contract, newest.workers_serving),
        (contract(2), 0)
    );
    store.workers().seen(&[worker.worker]).await.unwrap();
    let listed = store
        .workers()
        .list(Some("acme"), Page::first(5))
        .await
        .unwrap()
        .remove(0)
        .worker
        .unwrap();
    assert_eq!(listed.worker, worker);
    assert_eq!(
        listed.serves,
        [("crm.read".to_owned(), ContractHash([1; 32]))]
    );
}
