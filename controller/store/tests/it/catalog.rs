//! Namespaces, definitions, listings.

use fulcrum_core::ids::{DefinitionHash, NamespaceId, RunId};
use fulcrum_core::store::{RunStatus, Store};
use fulcrum_store::catalog::{
    Answered, Applied, Creation, NamespaceRefusal, NewDefinition, Once, Page, Portion, RequestNote,
    Rest,
};
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
        .create(NAMESPACE, "acme", 16, Once::unnamed())
        .await
        .unwrap();
    let again = namespaces
        .create(NamespaceId(Uuid::from_u128(2)), "acme", 4, Once::unnamed())
        .await
        .unwrap();
    let (Answered::Now(Ok(Creation::Made(made))), Answered::Now(Ok(Creation::Found(found)))) =
        (made, again)
    else {
        panic!("made once, then found")
    };
    assert_eq!(made, found);
    let id = NamespaceId(Uuid::from_u128(3));
    assert_eq!(
        namespaces
            .create(id, "Not a label", 16, Once::unnamed())
            .await
            .unwrap(),
        Answered::Now(Err(NamespaceRefusal::Name))
    );
    assert_eq!(
        namespaces
            .create(id, "b", 5000, Once::unnamed())
            .await
            .unwrap(),
        Answered::Now(Err(NamespaceRefusal::Shards))
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
            match definitions
                .apply(definition(content), Once::unnamed())
                .await
                .unwrap()
            {
                Answered::Now(Applied::Created(stored)) => ("created", stored.version),
                Answered::Now(Applied::Unchanged(stored)) => ("unchanged", stored.version),
                Answered::Now(Applied::MadeCurrent(stored)) => ("made current", stored.version),
                Answered::Before(_) | Answered::Reused => panic!("no request id was given"),
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
            u64::MAX,
        )
        .await
        .unwrap();
    assert_eq!(versions.rest, Rest::Nothing);
    assert_eq!(
        versions
            .items
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

#[tokio::test]
async fn a_listing_of_definitions_is_cut_by_rows_and_by_bytes_but_never_empty() {
    let database = Database::new().await;
    let definitions = database.store.definitions();
    for n in 1..=4 {
        let new = NewDefinition {
            workflow: format!("w{n}"),
            canonical: vec![n; 100],
            ..definition(n)
        };
        definitions.apply(new, Once::unnamed()).await.unwrap();
    }
    let list = async |after: Option<&str>, rows, bytes| {
        let after = after.map(str::to_owned);
        let page = Page { after, rows };
        let read = definitions.list(NAMESPACE, page, bytes).await.unwrap();
        let Portion { items, rest } = read;
        let names: Vec<String> = items.into_iter().map(|stored| stored.workflow).collect();
        (names.join(" "), rest)
    };
    let said = |names: &str, rest| (names.to_owned(), rest);
    assert_eq!(
        list(None, 9, 1_000).await,
        said("w1 w2 w3 w4", Rest::Nothing)
    );
    assert_eq!(
        list(None, 4, 1_000).await,
        said("w1 w2 w3 w4", Rest::Nothing)
    );
    assert_eq!(list(None, 3, 1_000).await, said("w1 w2 w3", Rest::More));
    assert_eq!(list(Some("w1"), 9, 250).await, said("w2 w3", Rest::More));
    assert_eq!(list(Some("w2"), 9, 1).await, said("w3", Rest::More));
    assert_eq!(list(Some("w4"), 9, 1).await, said("", Rest::Nothing));
    let names = definitions.names(NAMESPACE, 2).await.unwrap();
    assert_eq!(names, ["w1", "w2"]);
}

#[tokio::test]
async fn a_mutation_is_done_once_under_its_request_id_even_when_two_ask_at_once() {
    let database = Database::new().await;
    let definitions = database.store.definitions();
    let note = |digest| RequestNote {
        namespace: NAMESPACE,
        id: "r1".to_owned(),
        digest: [digest; 32],
    };
    let apply = async |content, digest| {
        let answer = |applied: &Applied| match applied {
            Applied::Created(stored) => Some(stored.hash.0.to_vec()),
            Applied::MadeCurrent(_) | Applied::Unchanged(_) => None,
        };
        let once = Once::named(Some(note(digest)), answer);
        definitions.apply(definition(content), once).await.unwrap()
    };
    let (one, two) = tokio::join!(apply(1, 1), apply(1, 1));
    let answers = [one, two];
    let now = answers
        .iter()
        .filter(|answer| matches!(answer, Answered::Now(Applied::Created(_))));
    assert_eq!(now.count(), 1, "{answers:?}");
    assert!(
        answers.contains(&Answered::Before(vec![1; 32])),
        "{answers:?}"
    );
    assert_eq!(apply(2, 2).await, Answered::Reused);
    let current = definitions.current_hash(NAMESPACE, "onboarding").await;
    assert_eq!(current.unwrap(), Some(DefinitionHash([1; 32])));
}

#[tokio::test]
async fn an_outcome_that_changed_nothing_is_not_kept() {
    let database = Database::new().await;
    let namespaces = database.store.namespaces();
    let create = async |request: &str| {
        let note = RequestNote {
            namespace: NamespaceId(Uuid::nil()),
            id: request.to_owned(),
            digest: [1; 32],
        };
        let once = Once::named(Some(note), |made| match made {
            Ok(Creation::Made(_)) => Some(b"made".to_vec()),
            Ok(Creation::Found(_)) | Err(_) => None,
        });
        let id = NamespaceId(Uuid::from_u128(7));
        namespaces.create(id, "acme", 16, once).await.unwrap()
    };
    assert!(matches!(
        create("r1").await,
        Answered::Now(Ok(Creation::Made(_)))
    ));
    assert_eq!(create("r1").await, Answered::Before(b"made".to_vec()));
    for _ in 0..2 {
        assert!(matches!(
            create("r2").await,
            Answered::Now(Ok(Creation::Found(_)))
        ));
    }
}
