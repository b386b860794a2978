//! A whole controller on a real database: people and workers enrol, work is done, access is taken away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_controller::app::Controller;
use fulcrum_controller::config::{Config, Sources, load};
use fulcrum_controller::foundation::Foundation;
use fulcrum_controller::identity::token::JoinToken;
use fulcrum_controller::{bootstrap, server::tls::provider};
use fulcrum_proto::admin::v1::identity_service_client::IdentityServiceClient;
use fulcrum_proto::admin::v1::installation_service_client::InstallationServiceClient;
use fulcrum_proto::admin::v1::worker_admin_service_client::WorkerAdminServiceClient;
use fulcrum_proto::admin::v1::{self as admin, WhoAmIRequest};
use fulcrum_proto::common::v1::{
    CapabilityContract, EffectClass, ErrorReason, Idempotency, IdentityKind, Payload,
};
use fulcrum_proto::worker::v1 as worker;
use fulcrum_proto::worker::v1::enrolment_service_client::EnrolmentServiceClient;
use fulcrum_proto::worker::v1::worker_service_client::WorkerServiceClient;
use fulcrum_proto::workflow::v1 as workflow;
use fulcrum_proto::workflow::v1::definition_service_client::DefinitionServiceClient;
use fulcrum_proto::workflow::v1::run_service_client::RunServiceClient;
use fulcrum_proto::workflow::v1::timeline_service_client::TimelineServiceClient;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use secrecy::ExposeSecret;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

use crate::database::Database;
use crate::harness::PATIENCE;

const NAMESPACE: &str = "acme";
const SOURCE: &str = "workflow: greet\nsteps:\n  - id: hello\n    call: text.greet\n    with: { name: \"${input.name}\" }\noutput: \"${steps.hello.output}\"\n";

struct Stack {
    controller: Controller,
    database: Database,
    root: CertificateDer<'static>,
}

/// An enrolled identity, connected to the main listener.
struct Member {
    id: String,
    channel: Channel,
}

fn config(url: &str) -> Config {
    let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let flags = vec![
        flag("database.url", url),
        flag("database.durability", "unsafe"),
        flag("listen.grpc", "127.0.0.1:0"),
        flag("listen.enrol", "127.0.0.1:0"),
        flag("listen.http", "127.0.0.1:0"),
        flag("loops.identity_ms", "100"),
    ];
    load(&Sources {
        flags,
        ..Sources::default()
    })
    .expect("valid")
}

async fn connect(
    address: SocketAddr,
    root: &CertificateDer<'static>,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Channel {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).expect("a root");
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match own {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .expect("credentials"),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(config));
    Endpoint::from_static("https://localhost")
        .timeout(PATIENCE)
        .connect_with_connector(tower::service_fn(move |_| {
            let connector = connector.clone();
            async move {
                let tcp = TcpStream::connect(address).await?;
                let tls = connector
                    .connect("localhost".try_into().expect("a name"), tcp)
                    .await?;
                Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(tls))
            }
        }))
        .await
        .expect("connects")
}

impl Stack {
    async fn start() -> (Self, Member) {
        let database = Database::create();
        let config = config(&database.url());
        let controller = Box::pin(Controller::start(&config)).await.expect("starts");
        let foundation = Box::pin(Foundation::lay(&config.database))
            .await
            .expect("a foundation");
        let root = foundation.authority.root().clone();
        foundation
            .ensure_namespace(&NAMESPACE.parse().expect("valid"))
            .await
            .expect("a namespace");
        let invitation = fulcrum_controller::identity::invite::Invitation {
            scope: NAMESPACE.parse().expect("valid"),
            role: fulcrum_controller::identity::Role::Operator,
            name: "ana".parse().expect("valid"),
            capabilities: Vec::new(),
            life: fulcrum_core::time::Millis::from_secs(60),
        };
        let token = foundation.invite(invitation).await.expect("a token");
        foundation.store.close().await;
        let stack = Self {
            controller,
            database,
            root,
        };
        let operator = stack.enrol(token.expose_secret()).await.expect("enrols");
        (stack, operator)
    }

    async fn enrol(&self, token: &str) -> Result<Member, Status> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let request = rcgen::CertificateParams::default()
            .serialize_request(&key)
            .expect("a request");
        let channel = connect(self.controller.addresses().enrol, &self.root, None).await;
        let answer = EnrolmentServiceClient::new(channel)
            .enrol(worker::EnrolRequest {
                token: token.to_owned(),
                csr_der: request.der().to_vec().into(),
                ..worker::EnrolRequest::default()
            })
            .await?
            .into_inner();
        let chain = CertificateDer::pem_slice_iter(answer.certificate_chain_pem.as_bytes());
        let chain = chain.map(|c| c.expect("a certificate")).collect();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let channel = connect(
            self.controller.addresses().grpc,
            &self.root,
            Some((chain, key)),
        )
        .await;
        Ok(Member {
            id: answer.worker_id,
            channel,
        })
    }

    async fn add_connector(&self, operator: &Member) -> Member {
        let token = self.token(operator, "text-box").await.expect("a token");
        self.enrol(&token).await.expect("enrols")
    }

    async fn token(&self, operator: &Member, name: &str) -> Result<String, Status> {
        let request = admin::CreateJoinTokenRequest {
            namespace: NAMESPACE.to_owned(),
            name: name.to_owned(),
            kind: IdentityKind::Connector.into(),
            capability_patterns: vec!["text.*".to_owned()],
            ..admin::CreateJoinTokenRequest::default()
        };
        let answer = WorkerAdminServiceClient::new(operator.channel.clone())
            .create_join_token(request)
            .await?;
        Ok(answer.into_inner().token)
    }
}

fn contract(name: &str) -> CapabilityContract {
    CapabilityContract {
        name: name.to_owned(),
        version: 1,
        effect: EffectClass::Read.into(),
        idempotency: Idempotency::Natural.into(),
        ..CapabilityContract::default()
    }
}

fn registration(capability: &str) -> worker::RegisterRequest {
    worker::RegisterRequest {
        contracts: vec![contract(capability)],
        slots: 4,
        ..worker::RegisterRequest::default()
    }
}

fn assert_reason(status: &Status, code: Code, reason: ErrorReason) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().map(|info| info.reason.as_str()),
        Some(reason.name()),
        "{status:?}"
    );
}

fn json(text: &str) -> Option<Payload> {
    Some(Payload {
        encoding: "json".to_owned(),
        data: text.to_owned().into(),
    })
}

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
                next_slots: 0,
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
async fn health_and_reflection_are_served_to_whom_they_concern() {
    let (stack, operator) = Stack::start().await;
    let mut health = HealthClient::new(operator.channel.clone());
    for service in ["", "fulcrum.workflow.v1.RunService"] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.expect("an answer").into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let ask = |channel: Channel| {
        let list = list.clone();
        async move {
            ServerReflectionClient::new(channel)
                .server_reflection_info(tokio_stream::once(list))
                .await
        }
    };
    let mut answers = ask(operator.channel.clone())
        .await
        .expect("an answer")
        .into_inner();
    let answer = answers
        .message()
        .await
        .expect("an answer")
        .expect("one")
        .message_response;
    let Some(MessageResponse::ListServicesResponse(listed)) = answer else {
        panic!("a list: {answer:?}")
    };
    assert!(
        listed
            .service
            .iter()
            .any(|service| service.name == "fulcrum.workflow.v1.RunService"),
        "{listed:?}"
    );

    let connector = stack.add_connector(&operator).await;
    let denied = ask(connector.channel)
        .await
        .expect_err("workers have no business with it");
    assert_eq!(denied.code(), Code::PermissionDenied);
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
    let token = Box::pin(bootstrap::operator_token(&database.url(), "default"))
        .await
        .expect("a token");
    let foundation = Box::pin(Foundation::lay(&config(&database.url()).database))
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

#[tokio::test]
async fn an_operator_examines_the_installation() {
    let (stack, operator) = Stack::start().await;
    let mut installation = InstallationServiceClient::new(operator.channel.clone());
    let seen = installation
        .examine_installation(admin::ExamineInstallationRequest {})
        .await
        .expect("examined")
        .into_inner();
    let verdict = |check: &str| {
        seen.findings
            .iter()
            .find(|finding| finding.check == check)
            .map(admin::Finding::verdict)
    };
    // The server of the tests may lose commits, and the doctor says so.
    assert_eq!(verdict("settings.fsync"), Some(admin::Verdict::Bad));
    assert_eq!(verdict("partitions.runway"), Some(admin::Verdict::Ok));
    assert_eq!(verdict("queue.age"), Some(admin::Verdict::Ok));
    assert_eq!(seen.feature_level, 1);
    let live = seen.controllers.iter().filter(|one| one.live).count();
    assert_eq!(live, 1, "this controller counts");

    let raise = admin::RaiseFeatureLevelRequest { feature_level: 2 };
    let refused = installation
        .raise_feature_level(raise)
        .await
        .expect_err("this build knows level 1");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let again = admin::RaiseFeatureLevelRequest { feature_level: 1 };
    let level = installation.raise_feature_level(again).await;
    assert_eq!(level.expect("in force").into_inner().feature_level, 1);
    let database = config(&stack.database.url()).database;
    let store = fulcrum_controller::foundation::open(&database)
        .await
        .expect("opens");
    stack.controller.shut_down().await;
    let left = store
        .examine(fulcrum_core::time::Millis(1_000))
        .await
        .expect("examined");
    assert_eq!(left.controllers.len(), 0, "it said goodbye");
    store.close().await;
}

#[tokio::test]
async fn a_build_below_the_feature_level_in_force_does_not_start() {
    let database = Database::create();
    let config = config(&database.url());
    let store = fulcrum_controller::foundation::open(&config.database)
        .await
        .expect("opens");
    store.migrate().await.expect("migrates");
    store
        .versions()
        .raise(fulcrum_store::versions::FeatureLevel(2))
        .await
        .expect("nobody is there to mind");
    store.close().await;
    let refused = Box::pin(Controller::start(&config))
        .await
        .err()
        .expect("refuses");
    assert!(refused.to_string().contains("feature level 2"), "{refused}");
}
