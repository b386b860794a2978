//! A listener on loopback with an authority of its own, and clients with all sorts of certificates.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_controller::clock::{DatabaseClock, monotonic, wall};
use fulcrum_controller::identity::authority::IssuedCertificate;
use fulcrum_controller::identity::csr::RequestedKey;
use fulcrum_controller::identity::founding;
use fulcrum_controller::identity::methods::METHODS;
use fulcrum_controller::identity::roll::Standing;
use fulcrum_controller::identity::template::ServerName;
use fulcrum_controller::identity::{
    Authority, IdentityId, InstallId, MethodTable, Principal, Role, Roll, Scope,
};
use fulcrum_controller::server::accept::PeerProof;
use fulcrum_controller::server::admission::Admission;
use fulcrum_controller::server::calls::Calls;
use fulcrum_controller::server::connection::Connections;
use fulcrum_controller::server::listen::Listener;
use fulcrum_controller::server::tls::{ClientCertificates, LiveTls, server_config};
use fulcrum_controller::server::{Caller, Door, ServerLimits};
use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_proto::admin::v1::identity_service_server::{IdentityService, IdentityServiceServer};
use fulcrum_proto::admin::v1::{WhoAmIRequest, WhoAmIResponse};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::tls;

/// Longer than anything here takes; only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A listener at work.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) roll: Arc<Roll>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    members: HashMap<IdentityId, Standing>,
}

/// A client certificate with its key.
pub(crate) struct Credentials {
    pub(crate) id: IdentityId,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Answers who calls; hangs when asked by an executor, which shutdown has to survive.
struct Echo;

#[tonic::async_trait]
impl IdentityService for Echo {
    async fn who_am_i(
        &self,
        request: Request<WhoAmIRequest>,
    ) -> Result<Response<WhoAmIResponse>, Status> {
        let caller = request
            .extensions()
            .get::<Caller>()
            .expect("the layer puts it there");
        match caller.principal().role {
            Role::Executor => std::future::pending().await,
            Role::Controller => panic!("on purpose"),
            Role::Connector | Role::Operator | Role::Client => {}
        }
        Ok(Response::new(WhoAmIResponse {
            identity_id: caller.principal().to_string(),
            ..WhoAmIResponse::default()
        }))
    }
}

pub(crate) fn limits() -> ServerLimits {
    fulcrum_controller::config::load(&Default::default())
        .expect("the defaults are valid")
        .server
}

pub(crate) fn new_authority(seed: u8) -> Authority {
    let install = InstallId::new([seed; 8]);
    let rows = founding::generate(&install, wall()).expect("an authority");
    Authority::load(install, &rows, wall()).expect("loads")
}

impl Server {
    /// The main listener.
    pub(crate) async fn main() -> Self {
        Self::main_within(limits()).await
    }

    /// The main listener with limits of its own.
    pub(crate) async fn main_within(limits: ServerLimits) -> Self {
        let roll = Arc::new(Roll::default());
        let clock = Arc::new(DatabaseClock::new(wall(), monotonic()));
        let door = Door::Main {
            roll: Arc::clone(&roll),
            clock,
        };
        Self::start(door, roll, Duration::from_millis(300), limits).await
    }

    /// The enrolment listener.
    pub(crate) async fn enrolment() -> Self {
        Self::start(
            Door::Enrolment,
            Arc::default(),
            Duration::from_millis(300),
            limits(),
        )
        .await
    }

    pub(crate) async fn start(
        door: Door,
        roll: Arc<Roll>,
        grace: Duration,
        limits: ServerLimits,
    ) -> Self {
        let authority = new_authority(1);
        let me = principal(&authority, Role::Controller);
        let own = authority
            .issue_server(
                &me,
                &[ServerName::from_text("localhost")],
                wall(),
                Millis::from_secs(600),
            )
            .expect("issued");
        let (clients, proof) = match &door {
            Door::Main { .. } => (
                ClientCertificates::Required(authority.root().clone()),
                PeerProof::Certificate,
            ),
            Door::Enrolment => (ClientCertificates::NotAsked, PeerProof::None),
        };
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("bound");
        let connections = Arc::<Connections>::default();
        let listener = Listener {
            name: "test",
            socket,
            tls: LiveTls::new(server_config(&own, &clients).expect("a configuration")),
            proof,
            calls: Calls::new(
                door,
                Arc::new(MethodTable::new(METHODS)),
                Admission::new(&limits),
                limits.clone(),
            ),
            routes: Routes::new(IdentityServiceServer::new(Echo)),
            limits,
            connections: Arc::clone(&connections),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(listener.serve(stop.clone(), grace));
        Self {
            address,
            authority,
            roll,
            connections,
            stop,
            task,
            members: HashMap::new(),
        }
    }

    /// A certificate from this server's authority, for an identity on its roll.
    pub(crate) fn admit(&mut self, role: Role) -> Credentials {
        let credentials = credentials(&self.authority, role, wall(), Millis::from_secs(600));
        self.set(
            credentials.id,
            Standing::Active {
                min_issued_at: Timestamp(0),
            },
        );
        credentials
    }

    pub(crate) fn set(&mut self, id: IdentityId, standing: Standing) {
        self.members.insert(id, standing);
        self.roll
            .replace(self.roll.revision() + 1, self.members.clone(), monotonic());
    }

    /// A channel with these credentials that trusts this server's root.
    pub(crate) async fn connect(
        &self,
        credentials: Option<&Credentials>,
    ) -> Result<Channel, tonic::transport::Error> {
        let own = credentials.map(|own| (own.chain.clone(), own.key.clone_key()));
        tls::connect(self.address, self.authority.root(), own).await
    }
}

pub(crate) fn principal(authority: &Authority, role: Role) -> Principal {
    let scope = Scope::Namespace("acme".parse().expect("valid"));
    let mut entropy = [0; 16];
    getrandom::fill(&mut entropy).expect("randomness");
    let id = IdentityId(Uuid::from_bytes(entropy));
    Principal {
        install: authority.install().clone(),
        scope,
        role,
        id,
    }
}

/// A certificate issued at this time for this long.
pub(crate) fn credentials(
    authority: &Authority,
    role: Role,
    issued_at: Timestamp,
    life: Millis,
) -> Credentials {
    let principal = principal(authority, role);
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::default();
    let request = params.serialize_request(&key).expect("a request");
    let requested = RequestedKey::from_der(request.der()).expect("acceptable");
    let IssuedCertificate { chain, .. } = authority
        .issue_client(&requested, &principal, issued_at, life)
        .expect("issued");
    Credentials {
        id: principal.id,
        chain,
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}
