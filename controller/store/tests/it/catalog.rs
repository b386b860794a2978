//! Namespaces, definitions, listings.

use fulcrum_core::ids::{DefinitionHash, NamespaceId, RunId};
use fulcrum_core::store::{RunStatus, Store};
use fulcrum_store::catalog::{Applied, Creation, NamespaceRefusal, NewDefinition, Page};
use fulcrum_store::views::{Family, RunFilter};
use sqlx::types::Uuid;

use crate::database::Database;
use crate::sample::{NAMESPACE, next, run, start};

fn definition(content: u8) -> NewDefinition {
    NewDefinition {
        namespace: NAMESPACE,
        workflow: "onboarding".to_owned(),
        hash: DefinitionHash([content; 32]),
        canonical: vec![content],
        source: format!("# {content}"),
        created_by: "ada".to_owned(),
    }
}

#[tokio::test]
async fn a_namespace_is_made_once_and_its_name_is_a_label() {
    let database = Database::new().await;
    let namespaces = database.store.namespaces();
    let made = namespaces
        .create(NAMESPACE, "acme", 16)
        .await
        .unwrap()
        .unwrap();
    let again = namespaces
        .create(NamespaceId(Uuid::from_u128(2)), "acme", 4)
        .await
        .unwrap()
        .unwrap();
    let (Creation::Made(made), Creation::Found(found)) = (made, again) else {
        panic!("made once, then found")
    };
    assert_eq!(made, found);
    let id = NamespaceId(Uuid::from_u128(3));
    assert_eq!(
        namespaces.create(id, "Not a label", 16).await.unwrap(),
        Err(NamespaceRefusal::Name)
    );
    assert_eq!(
        namespaces.create(id, "b", 5000).await.unwrap(),
        Err(NamespaceRefusal::Shards)
    );
    assert_eq!(namespaces.list(Page::first(10)).await.unwrap(), [made]);
}

#[tokio::test]
async fn applying_old_content_again_makes_it_current_without_a_new_version() {
    let database = Database::new().await;
    let definitions = database.store.definitions();
    let mut seen = Vec::new();
    for content in [1, 1, 2, 1, 3] {
        seen.push(
            match definitions.apply(definition(content)).await.unwrap() {
                Applied::Created(stored) => ("created", stored.version),
                Applied::Unchanged(stored) => ("unchanged", stored.version),
                Applied::MadeCurrent(stored) => ("made current", stored.version),
            },
        );
    }
    assert_eq!(
        seen,
        [
            ("created", 1),
            ("unchanged", 1),
            ("created", 2),
            ("made current", 1),
            ("created", 3)
        ]
    );
    assert_eq!(
        definitions
            .current_hash(NAMESPACE, "onboarding")
            .await
            .unwrap(),
        Some(DefinitionHash([3; 32]))
    );
    assert_eq!(
        definitions.current_hash(NAMESPACE, "other").await.unwrap(),
        None
    );
    let versions = definitions
        .versions(
            NAMESPACE,
            "onboarding",
            Page {
                after: Some(3),
                rows: 9,
            },
        )
        .await
        .unwrap();
    assert_eq!(
        versions
            .iter()
            .map(|version| version.version)
            .collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(
        definitions
            .by_hash(DefinitionHash([2; 32]))
            .await
            .unwrap()
            .unwrap()
            .source,
        "# 2"
    );
}

#[tokio::test]
async fn runs_are_listed_newest_first_by_state_and_family() {
    let database = Database::new().await;
    let store = &database.store;
    let root = run(1);
    let child = |index| {
        let mut commit = start(RunId::child(root, "items~1", index));
        commit.head.parent = Some(root);
        commit.head.root = root;
        commit
    };
    store
        .flush(vec![start(root), start(run(2)), child(0), child(1)])
        .await
        .unwrap();
    let mut closing = next(&start(run(2)).head);
    closing.head.status = RunStatus::Completed;
    closing.head.closed_at = Some(closing.head.started_at);
    store.flush(vec![closing]).await.unwrap();

    let runs = store.runs();
    let ids = async |filter: RunFilter, page| {
        runs.list(filter, page)
            .await
            .unwrap()
            .into_iter()
            .map(|head| head.run)
            .collect::<Vec<_>>()
    };
    let all = RunFilter::roots(NAMESPACE);
    assert_eq!(ids(all.clone(), Page::first(10)).await, [run(2), root]);
    assert_eq!(
        ids(
            all.clone(),
            Page {
                after: Some(run(2)),
                rows: 10
            }
        )
        .await,
        [root]
    );
    let running = RunFilter {
        statuses: vec![RunStatus::Running],
        ..all.clone()
    };
    assert_eq!(ids(running, Page::first(10)).await, [root]);
    let children = RunFilter {
        family: Family::ChildrenOf(root),
        ..all.clone()
    };
    assert_eq!(ids(children, Page::first(10)).await.len(), 2);
    let family = RunFilter {
        family: Family::Of(root),
        ..all
    };
    assert_eq!(ids(family, Page::first(10)).await.len(), 3);
}
