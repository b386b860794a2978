//! A whole controller on a real database, and those who enrolled with it.

use fulcrum_controller::app::Controller;
use fulcrum_controller::config::{Config, KeySourceConfig, KeysConfig, Sources, load};
use fulcrum_controller::foundation::Foundation;
use fulcrum_controller::keys::KeyMaterial;
use fulcrum_proto::admin::v1 as admin;
use fulcrum_proto::admin::v1::worker_admin_service_client::WorkerAdminServiceClient;
use fulcrum_proto::common::v1::{
    CapabilityContract, EffectClass, ErrorReason, Idempotency, IdentityKind, Payload,
};
use fulcrum_proto::worker::v1 as worker;
use fulcrum_proto::worker::v1::enrolment_service_client::EnrolmentServiceClient;
use fulcrum_proto::worker::v1::worker_service_client::WorkerServiceClient;
use fulcrum_proto::workflow::v1 as workflow;
use fulcrum_proto::workflow::v1::definition_service_client::DefinitionServiceClient;
use fulcrum_proto::workflow::v1::run_service_client::RunServiceClient;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use secrecy::ExposeSecret;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::database::Database;
use crate::tls;

pub(crate) const NAMESPACE: &str = "acme";
pub(crate) const SOURCE: &str = "workflow: greet\nsteps:\n  - id: hello\n    call: text.greet\n    with: { name: \"${input.name}\" }\noutput: \"${steps.hello.output}\"\n";

pub(crate) struct Stack {
    pub(crate) controller: Controller,
    pub(crate) database: Database,
    pub(crate) root: CertificateDer<'static>,
}

/// An enrolled identity, connected to the main listener.
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) channel: Channel,
}

pub(crate) fn config(url: &str) -> Config {
    let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let flags = vec![
        flag("database.url", url),
        flag("database.durability", "unsafe"),
        flag("listen.grpc", "127.0.0.1:0"),
        flag("listen.enrol", "127.0.0.1:0"),
        flag("listen.http", "127.0.0.1:0"),
        flag("loops.tick_ms", "100"),
    ];
    let mut config = load(&Sources {
        flags,
        ..Sources::default()
    })
    .expect("valid");
    config.keys = keys(&[1]);
    config
}

/// Key-encryption keys of these bytes, in files; the first seals.
pub(crate) fn keys(bytes: &[u8]) -> KeysConfig {
    let source = |byte: &u8| {
        let text = KeyMaterial::from_bytes([*byte; 32]).to_text();
        let path = format!("{}/kek-{byte}", env!("CARGO_TARGET_TMPDIR"));
        // Renamed, so that no other test reads half of it.
        let file = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
        std::fs::write(file.path(), text.expose_secret()).expect("written");
        file.persist(&path).expect("kept");
        KeySourceConfig::File(path.into())
    };
    KeysConfig {
        sources: bytes.iter().map(source).collect(),
    }
}

impl Stack {
    pub(crate) async fn start() -> (Self, Member) {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> (Self, Member) {
        let database = Database::create();
        let mut config = config(&database.url());
        change(&mut config);
        let controller = Box::pin(Controller::start(&config)).await.expect("starts");
        let foundation = Box::pin(Foundation::lay(&config))
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

    pub(crate) async fn enrol(&self, token: &str) -> Result<Member, Status> {
        let key = rcgen::KeyPair::generate().expect("a key");
        self.enrol_with(token, &key).await
    }

    pub(crate) async fn enrol_with(
        &self,
        token: &str,
        key: &rcgen::KeyPair,
    ) -> Result<Member, Status> {
        let request = rcgen::CertificateParams::default()
            .serialize_request(key)
            .expect("a request");
        let channel = tls::connect(self.controller.addresses().enrol, &self.root, None)
            .await
            .expect("connects");
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
        let address = self.controller.addresses().grpc;
        let channel = tls::connect(address, &self.root, Some((chain, key)))
            .await
            .expect("connects");
        Ok(Member {
            id: answer.worker_id,
            channel,
        })
    }

    pub(crate) async fn add_connector(&self, operator: &Member) -> Member {
        let token = self.token(operator, "text-box").await.expect("a token");
        self.enrol(&token).await.expect("enrols")
    }

    pub(crate) async fn token(&self, operator: &Member, name: &str) -> Result<String, Status> {
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

pub(crate) fn contract(name: &str) -> CapabilityContract {
    CapabilityContract {
        name: name.to_owned(),
        version: 1,
        effect: EffectClass::Read.into(),
        idempotency: Idempotency::Natural.into(),
        ..CapabilityContract::default()
    }
}

pub(crate) fn registration(capability: &str) -> worker::RegisterRequest {
    worker::RegisterRequest {
        contracts: vec![contract(capability)],
        slots: 4,
        ..worker::RegisterRequest::default()
    }
}

pub(crate) fn assert_reason(status: &Status, code: Code, reason: ErrorReason) {
    assert_eq!(status.code(), code, "{status:?}");
    let details = status.get_error_details();
    assert_eq!(
        details.error_info().map(|info| info.reason.as_str()),
        Some(reason.name()),
        "{status:?}"
    );
}

pub(crate) fn json(text: &str) -> Option<Payload> {
    Some(Payload {
        encoding: "json".to_owned(),
        data: text.to_owned().into(),
    })
}

impl Member {
    pub(crate) fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone())
    }

    pub(crate) fn tasks(&self) -> WorkerServiceClient<Channel> {
        WorkerServiceClient::new(self.channel.clone())
    }

    pub(crate) fn admin(&self) -> WorkerAdminServiceClient<Channel> {
        WorkerAdminServiceClient::new(self.channel.clone())
    }

    pub(crate) async fn apply(
        &self,
        request: workflow::ApplyDefinitionRequest,
    ) -> Result<workflow::ApplyDefinitionResponse, Status> {
        let request = workflow::ApplyDefinitionRequest {
            namespace: NAMESPACE.to_owned(),
            ..request
        };
        let mut definitions = DefinitionServiceClient::new(self.channel.clone());
        Ok(definitions.apply_definition(request).await?.into_inner())
    }

    /// Starts a run of `greet` under a key.
    pub(crate) async fn greet(
        &self,
        key: &str,
        input: &str,
    ) -> Result<workflow::StartRunResponse, Status> {
        let spec = workflow::RunSpec {
            definition: Some(workflow::run_spec::Definition::Workflow("greet".to_owned())),
            input: json(input),
            idempotency_key: key.to_owned(),
        };
        let request = workflow::StartRunRequest {
            namespace: NAMESPACE.to_owned(),
            spec: Some(spec),
            ..Default::default()
        };
        Ok(self.runs().start_run(request).await?.into_inner())
    }

    /// A run with its steps.
    pub(crate) async fn look(&self, run_id: &str) -> workflow::Run {
        let request = workflow::GetRunRequest {
            namespace: NAMESPACE.to_owned(),
            run_id: run_id.to_owned(),
            include_steps: true,
            ..Default::default()
        };
        let answer = self.runs().get_run(request).await.expect("an answer");
        answer.into_inner().run.expect("a run")
    }
}
