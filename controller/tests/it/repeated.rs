//! Calls that are made again, as clients do when an answer got lost.

use fulcrum_proto::admin::v1 as admin;
use fulcrum_proto::admin::v1::namespace_service_client::NamespaceServiceClient;
use fulcrum_proto::common::v1::{ErrorReason, IdentityKind};
use fulcrum_proto::workflow::v1 as workflow;
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::stack::{NAMESPACE, SOURCE, Stack, assert_reason, registration};

#[tokio::test]
async fn a_repeated_mutation_gets_the_first_answer_and_another_body_is_refused() {
    let (stack, operator) = Stack::start().await;
    let apply = workflow::ApplyDefinitionRequest {
        source: SOURCE.into(),
        allow_unregistered: true,
        request_id: "apply-1".to_owned(),
        ..Default::default()
    };
    let first = operator.apply(apply.clone()).await.expect("applies");
    assert!(first.created);
    let [warning] = &first.diagnostics[..] else {
        panic!("one warning: {first:?}")
    };
    assert_eq!(warning.severity(), workflow::Severity::Warning);
    assert!(
        warning.message.contains("text.greet") && warning.line > 0,
        "{warning:?}"
    );
    assert_eq!(operator.apply(apply.clone()).await.expect("again"), first);
    let unnamed = workflow::ApplyDefinitionRequest {
        request_id: String::new(),
        ..apply.clone()
    };
    assert!(!operator.apply(unnamed).await.expect("unchanged").created);
    let other = workflow::ApplyDefinitionRequest {
        source: SOURCE.replace("hello", "hullo").into(),
        ..apply
    };
    let refused = operator.apply(other).await.expect_err("another body");
    assert_reason(&refused, Code::AlreadyExists, ErrorReason::RequestIdReused);

    let token = admin::CreateJoinTokenRequest {
        namespace: NAMESPACE.to_owned(),
        name: "text-box".to_owned(),
        kind: IdentityKind::Connector.into(),
        capability_patterns: vec!["text.*".to_owned()],
        request_id: "token-1".to_owned(),
        ..Default::default()
    };
    let mut made = Vec::new();
    for _ in 0..2 {
        let answer = operator.admin().create_join_token(token.clone()).await;
        made.push(answer.expect("a token").into_inner());
    }
    assert_eq!(made[0].expires_at, made[1].expires_at);
    let worthless = stack.enrol(&made[0].token).await.err().expect("replaced");
    assert_reason(&worthless, Code::Unauthenticated, ErrorReason::TokenInvalid);
    let connector = stack.enrol(&made[1].token).await.expect("enrols");
    let spent = operator.admin().create_join_token(token.clone()).await;
    let spent = spent.expect_err("it was used");
    assert_reason(&spent, Code::AlreadyExists, ErrorReason::RequestIdReused);
    let other = admin::CreateJoinTokenRequest {
        name: "other-box".to_owned(),
        ..token
    };
    let refused = operator.admin().create_join_token(other).await;
    let refused = refused.expect_err("another body");
    assert_reason(&refused, Code::AlreadyExists, ErrorReason::RequestIdReused);

    let revoke = admin::RevokeWorkerRequest {
        namespace: NAMESPACE.to_owned(),
        worker_id: connector.id.clone(),
        reason: "lost".to_owned(),
        request_id: "revoke-1".to_owned(),
    };
    for _ in 0..2 {
        let answer = operator.admin().revoke_worker(revoke.clone()).await;
        let worker = answer.expect("revoked").into_inner().worker;
        let state = worker.expect("a worker").state();
        assert_eq!(state, admin::WorkerState::Revoked);
    }
    let other = admin::RevokeWorkerRequest {
        reason: "stolen".to_owned(),
        ..revoke
    };
    let refused = operator.admin().revoke_worker(other).await;
    let refused = refused.expect_err("another body");
    assert_reason(&refused, Code::AlreadyExists, ErrorReason::RequestIdReused);

    // An operator of one namespace makes no other one, however often it asks.
    let create = admin::CreateNamespaceRequest {
        name: NAMESPACE.to_owned(),
        request_id: "namespace-1".to_owned(),
        ..Default::default()
    };
    for _ in 0..2 {
        let mut namespaces = NamespaceServiceClient::new(operator.channel.clone());
        let refused = namespaces.create_namespace(create.clone()).await;
        let refused = refused.expect_err("it exists");
        assert_reason(&refused, Code::AlreadyExists, ErrorReason::NamespaceExists);
    }
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}

#[tokio::test]
async fn an_enrolment_whose_answer_was_lost_is_made_again_with_the_same_key_only() {
    let (stack, operator) = Stack::start().await;
    let token = stack.token(&operator, "text-box").await.expect("a token");
    let key = rcgen::KeyPair::generate().expect("a key");
    let first = stack.enrol_with(&token, &key).await.expect("enrols");
    let again = stack.enrol_with(&token, &key).await.expect("once more");
    assert_eq!(again.id, first.id, "the same identity");
    for member in [&first, &again] {
        let registered = member.tasks().register(registration("text.greet")).await;
        assert_eq!(
            registered.expect("either works").into_inner().worker_id,
            first.id
        );
    }
    let stranger = stack.enrol(&token).await.err().expect("another key");
    assert_reason(&stranger, Code::Unauthenticated, ErrorReason::TokenInvalid);

    // Two tries that are under way at once are one enrolment, too.
    let token = stack.token(&operator, "mail-box").await.expect("a token");
    let key = rcgen::KeyPair::generate().expect("a key");
    let both = tokio::join!(
        stack.enrol_with(&token, &key),
        stack.enrol_with(&token, &key)
    );
    let (one, other) = (both.0.expect("enrols"), both.1.expect("enrols"));
    assert_eq!(one.id, other.id);

    let revoke = admin::RevokeWorkerRequest {
        namespace: NAMESPACE.to_owned(),
        worker_id: one.id,
        reason: "lost".to_owned(),
        request_id: "revoke-1".to_owned(),
    };
    let revoked = operator.admin().revoke_worker(revoke).await;
    revoked.expect("revoked");
    let late = stack.enrol_with(&token, &key).await.err().expect("revoked");
    assert_reason(&late, Code::Unauthenticated, ErrorReason::TokenInvalid);
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_input() {
    let (stack, operator) = Stack::start().await;
    let apply = workflow::ApplyDefinitionRequest {
        source: SOURCE.into(),
        allow_unregistered: true,
        ..Default::default()
    };
    operator.apply(apply).await.expect("applies");
    let first = operator.greet("k", r#"{"name":"Ana","n":1}"#).await;
    let first = first.expect("starts");
    assert!(first.created);
    let run_id = first.run.expect("a run").run_id;
    // The same value may be written in another way.
    for same in [r#"{"name":"Ana","n":1}"#, r#"{ "n": 1, "name": "Ana" }"#] {
        let again = operator.greet("k", same).await.expect("found");
        assert!(!again.created);
        assert_eq!(again.run.expect("a run").run_id, run_id);
    }
    let refused = operator.greet("k", r#"{"name":"Eve","n":1}"#).await;
    let refused = refused.expect_err("another input");
    assert_reason(
        &refused,
        Code::AlreadyExists,
        ErrorReason::IdempotencyKeyReused,
    );
    let details = refused.get_error_details();
    let facts = &details.error_info().expect("error info").metadata;
    assert_eq!(facts.get("run_id"), Some(&run_id));
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}
