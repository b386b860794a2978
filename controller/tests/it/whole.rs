//! People and workers enrol, work is done, access is taken away.

use std::time::Duration;

use fulcrum_controller::app::Controller;
use fulcrum_controller::bootstrap;
use fulcrum_controller::foundation::Foundation;
use fulcrum_controller::identity::token::JoinToken;
use fulcrum_proto::admin::v1::identity_service_client::IdentityServiceClient;
use fulcrum_proto::admin::v1::worker_admin_service_client::WorkerAdminServiceClient;
use fulcrum_proto::admin::v1::{self as admin, WhoAmIRequest};
use fulcrum_proto::common::v1::{CapabilityContract, ErrorReason, IdentityKind};
use fulcrum_proto::worker::v1 as worker;
use fulcrum_proto::worker::v1::worker_service_client::WorkerServiceClient;
use fulcrum_proto::workflow::v1 as workflow;
use fulcrum_proto::workflow::v1::definition_service_client::DefinitionServiceClient;
use fulcrum_proto::workflow::v1::run_service_client::RunServiceClient;
use fulcrum_proto::workflow::v1::timeline_service_client::TimelineServiceClient;
use secrecy::ExposeSecret;
use tonic::Code;

use crate::database::Database;
use crate::stack::{
    NAMESPACE, SOURCE, Stack, assert_reason, config, contract, json, keys, registration,
};

#[tokio::test]
async fn from_an_empty_database_to_a_finished_run() {
    let (stack, operator) = Stack::start().await;
    let me = IdentityServiceClient::new(operator.channel.clone())
        .who_am_i(WhoAmIRequest {})
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(
        (
            me.name.as_str(),
            me.namespace.as_str(),
            me.identity_id.as_str()
        ),
        ("ana", NAMESPACE, operator.id.as_str())
    );

    let connector = stack.add_connector(&operator).await;
    let mut tasks = WorkerServiceClient::new(connector.channel.clone());
    let early = tasks
        .lease_tasks(worker::LeaseTasksRequest {
            slots: 1,
            ..Default::default()
        })
        .await
        .expect_err("early");
    assert_reason(&early, Code::FailedPrecondition, ErrorReason::NotRegistered);
    let denied = tasks
        .register(registration("crm.contact.get"))
        .await
        .expect_err("beyond its patterns");
    assert_reason(
        &denied,
        Code::PermissionDenied,
        ErrorReason::PermissionDenied,
    );
    tasks
        .register(registration("text.greet"))
        .await
        .expect("registers");
    let changed = CapabilityContract {
        description: "another".to_owned(),
        ..contract("text.greet")
    };
    let changed = worker::RegisterRequest {
        contracts: vec![changed],
        slots: 4,
        ..Default::default()
    };
    let refused = tasks
        .register(changed)
        .await
        .expect_err("the same version with another content");
    assert_reason(&refused, Code::AlreadyExists, ErrorReason::ContractChanged);

    let applied = DefinitionServiceClient::new(operator.channel.clone())
        .apply_definition(workflow::ApplyDefinitionRequest {
            namespace: NAMESPACE.to_owned(),
            source: SOURCE.into(),
            ..Default::default()
        })
        .await
        .expect("an answer")
        .into_inner();
    assert!(applied.created, "{:?}", applied.diagnostics);

    let mut runs = RunServiceClient::new(operator.channel.clone());
    let spec = workflow::RunSpec {
        definition: Some(workflow::run_spec::Definition::Workflow("greet".to_owned())),
        input: json(r#"{"name":"Ana"}"#),
        ..Default::default()
    };
    let started = runs
        .start_run(workflow::StartRunRequest {
            namespace: NAMESPACE.to_owned(),
            spec: Some(spec),
            ..Default::default()
        })
        .await
        .expect("starts")
        .into_inner();
    let run_id = started.run.expect("a run").run_id;

    let granted = tasks
        .lease_tasks(worker::LeaseTasksRequest {
            slots: 4,
            wait: Some(prost_types::Duration {
                seconds: 20,
                nanos: 0,
            }),
            ..Default::default()
        })
        .await
        .expect("an answer")
        .into_inner();
    let [task] = &granted.tasks[..] else {
        panic!("one task: {granted:?}")
    };
    assert_eq!(
        (task.capability.as_str(), task.run_id.as_str()),
        ("text.greet", run_id.as_str())
    );
    let report = worker::TaskReport {
        lease: task.lease.clone(),
        outcome: Some(worker::task_report::Outcome::Completed(
            worker::CompletedOutcome {
                output: json(r#""Hello Ana""#),
            },
        )),
        ..Default::default()
    };
    for _ in 0..2 {
        let answer = tasks
            .report_tasks(worker::ReportTasksRequest {
                reports: vec![report.clone()],
                ..Default::default()
            })
            .await
            .expect("an answer")
            .into_inner();
        let result = answer.results[0].result.clone().expect("a result");
        assert!(
            matches!(result, worker::task_report_result::Result::Accepted(_)),
            "{result:?}"
        );
    }

    let get = workflow::GetRunRequest {
        namespace: NAMESPACE.to_owned(),
        run_id: run_id.clone(),
        include_steps: true,
        ..Default::default()
    };
    let run = runs
        .get_run(get)
        .await
        .expect("an answer")
        .into_inner()
        .run
        .expect("a run");
    assert_eq!(run.status(), workflow::RunStatus::Completed, "{run:?}");
    assert_eq!(run.output.expect("an output").data, r#""Hello Ana""#);
    let events = TimelineServiceClient::new(operator.channel.clone())
        .list_events(workflow::ListEventsRequest {
            namespace: NAMESPACE.to_owned(),
            run_id,
            ..Default::default()
        })
        .await
        .expect("an answer")
        .into_inner()
        .events;
    assert_eq!(
        events.first().map(|event| event.kind.as_str()),
        Some("RunStarted")
    );
    assert_eq!(
        events.first().map(|event| event.actor.as_str()),
        Some(operator.id.as_str())
    );

    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
    drop(stack.database);
}

#[tokio::test]
async fn a_join_token_admits_once_and_a_revoked_worker_is_out() {
    let (stack, operator) = Stack::start().await;
    let token = stack.token(&operator, "text-box").await.expect("a token");
    let connector = stack.enrol(&token).await.expect("enrols");
    let again = stack.enrol(&token).await.err().expect("spent");
    assert_reason(&again, Code::Unauthenticated, ErrorReason::TokenInvalid);
    let forged = JoinToken::mint(
        JoinToken::parse(&token).expect("a token").pin,
        uuid::Uuid::nil(),
    )
    .expect("randomness");
    let unknown = stack
        .enrol(forged.reveal().expose_secret())
        .await
        .err()
        .expect("unknown");
    assert_eq!(
        again.message(),
        unknown.message(),
        "nobody learns which tokens exist"
    );

    let mut tasks = WorkerServiceClient::new(connector.channel.clone());
    tasks
        .register(registration("text.greet"))
        .await
        .expect("registers");
    let mut admin = WorkerAdminServiceClient::new(operator.channel.clone());
    let listed = admin
        .list_workers(admin::ListWorkersRequest {
            namespace: NAMESPACE.to_owned(),
            ..Default::default()
        })
        .await
        .expect("an answer")
        .into_inner()
        .workers;
    assert_eq!(
        listed
            .iter()
            .map(|w| w.worker_id.as_str())
            .collect::<Vec<_>>(),
        [connector.id.as_str()]
    );
    assert_eq!(listed[0].capabilities, ["text.greet"]);
    assert_eq!(listed[0].state(), admin::WorkerState::Connected);

    let revoked = admin
        .revoke_worker(admin::RevokeWorkerRequest {
            namespace: NAMESPACE.to_owned(),
            worker_id: connector.id.clone(),
            reason: "lost laptop".to_owned(),
            ..Default::default()
        })
        .await
        .expect("an answer")
        .into_inner();
    assert_eq!(
        revoked.worker.expect("the worker").state(),
        admin::WorkerState::Revoked
    );
    let out = async {
        while tasks
            .heartbeat(worker::HeartbeatRequest::default())
            .await
            .is_ok()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(2), out)
        .await
        .expect("revocation takes effect within two seconds");
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}

#[tokio::test]
async fn the_first_operator_is_invited_by_whoever_can_reach_the_database() {
    let database = Database::create();
    let controller = Box::pin(Controller::start(&config(&database.url())))
        .await
        .expect("starts");
    let token = Box::pin(bootstrap::operator_token(
        &database.url(),
        keys(&[1]),
        "default",
    ))
    .await
    .expect("a token");
    let foundation = Box::pin(Foundation::lay(&config(&database.url())))
        .await
        .expect("a foundation");
    let stack = Stack {
        controller,
        database,
        root: foundation.authority.root().clone(),
    };
    foundation.store.close().await;
    let operator = stack.enrol(token.expose_secret()).await.expect("enrols");
    let me = IdentityServiceClient::new(operator.channel)
        .who_am_i(WhoAmIRequest {})
        .await
        .expect("an answer");
    assert_eq!(me.into_inner().kind(), IdentityKind::Operator);
    assert!(
        stack.controller.shut_down().await.is_empty(),
        "nothing is aborted"
    );
}
