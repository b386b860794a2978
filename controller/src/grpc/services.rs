//! Which services a listener serves, with their message limits.

use std::sync::Arc;

use fulcrum_core::limits::Limits;
use fulcrum_core::time::Millis;
use fulcrum_proto::admin::v1::capability_service_server::CapabilityServiceServer;
use fulcrum_proto::admin::v1::identity_service_server::IdentityServiceServer;
use fulcrum_proto::admin::v1::installation_service_server::InstallationServiceServer;
use fulcrum_proto::admin::v1::namespace_service_server::NamespaceServiceServer;
use fulcrum_proto::admin::v1::worker_admin_service_server::WorkerAdminServiceServer;
use fulcrum_proto::audit::v1::audit_service_server::AuditServiceServer;
use fulcrum_proto::payload::v1::payload_service_server::PayloadServiceServer;
use fulcrum_proto::review::v1::review_service_server::ReviewServiceServer;
use fulcrum_proto::worker::v1::enrolment_service_server::EnrolmentServiceServer;
use fulcrum_proto::worker::v1::worker_service_server::WorkerServiceServer;
use fulcrum_proto::workflow::v1::definition_service_server::DefinitionServiceServer;
use fulcrum_proto::workflow::v1::run_service_server::RunServiceServer;
use fulcrum_proto::workflow::v1::timeline_service_server::TimelineServiceServer;
use fulcrum_store::PgStore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use super::audits::Audits;
use super::capabilities::Capabilities;
use super::definitions::Definitions;
use super::enrolment::Enrolment;
use super::identities::Identities;
use super::installations::Installations;
use super::lease_seal::LeaseSeal;
use super::meta;
use super::namespaces::Namespaces;
use super::page::PageKey;
use super::payloads::room::{Bytes, Streams};
use super::payloads::seal::HandleSeal;
use super::payloads::{Handles, Payloads};
use super::registration::Registrations;
use super::reviews::Reviews;
use super::runs::Runs;
use super::timelines::Timelines;
use super::worker::Workers;
use super::workers::WorkerAdmin;
use crate::PgEngine;
use crate::clock::DatabaseClock;
use crate::config::{IdentityConfig, ListenConfig};
use crate::identity::{Issuance, Registry, Roll};
use crate::loops::Board;
use crate::server::ServerLimits;
use crate::shutdown::Tasks;
use crate::sockets::Addresses;

/// What services share.
pub struct Shared {
    /// Listings.
    pub store: PgStore,
    /// The engine.
    pub engine: Arc<PgEngine>,
    /// Identities at rest.
    pub registry: Registry,
    /// Who signs.
    pub issuance: Issuance,
    /// Who is let in.
    pub roll: Arc<Roll>,
    /// What workers serve.
    pub registrations: Arc<Registrations>,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// Key of page tokens.
    pub page_key: Arc<PageKey>,
    /// Seals lease tokens.
    pub lease_seal: LeaseSeal,
    /// Seals payload handles.
    pub handle_seal: HandleSeal,
    /// Where what goes on beside a call is spawned.
    pub tasks: Tasks,
    /// What callers are told to connect to.
    pub endpoints: Endpoints,
    /// Limits on messages.
    pub server: ServerLimits,
    /// Limits on workflows and listings.
    pub limits: Limits,
    /// Life of a join token when none is asked for.
    pub token_life: Millis,
    /// A worker not seen for this long counts as disconnected.
    pub silence_max: Millis,
    /// Streams end when this is cancelled.
    pub polls_end: CancellationToken,
    /// What the loops did last.
    pub board: Arc<Board>,
    /// `retention.days`.
    pub keep_days: u32,
}

/// What callers are told to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// The main listener.
    pub grpc: String,
    /// The enrolment listener.
    pub enrol: String,
}

impl Endpoints {
    /// As configured; where nothing is, the first server name and the port listened on.
    #[must_use]
    pub fn of(listen: &ListenConfig, identity: &IdentityConfig, bound: Addresses) -> Self {
        let name = identity
            .server_names
            .first()
            .map_or("localhost", String::as_str);
        let host = if name.contains(':') {
            format!("[{name}]")
        } else {
            name.to_owned()
        };
        let or = |configured: &str, port: u16| {
            if configured.is_empty() {
                format!("https://{host}:{port}")
            } else {
                configured.to_owned()
            }
        };
        Self {
            grpc: or(&listen.grpc_endpoint, bound.grpc.port()),
            enrol: or(&listen.enrol_endpoint, bound.enrol.port()),
        }
    }
}

/// Sets the limits of a service's messages.
macro_rules! limited {
    ($server:expr, $limits:expr) => {
        $server
            .max_decoding_message_size($limits.message_in_bytes_max as usize)
            .max_encoding_message_size($limits.message_out_bytes_max as usize)
    };
}

/// The services of the main listener.
///
/// # Errors
/// When the descriptor set cannot be reflected, which is a mistake of the build.
pub fn main_listener(
    shared: &Shared,
) -> Result<(HealthReporter, Routes), tonic_reflection::server::Error> {
    let limits = &shared.server;
    let room = || {
        let limit = "server.payload_stream_bytes_max";
        Bytes::new(limit, limits.payload_stream_bytes_max)
    };
    let handles = Handles {
        store: shared.store.clone(),
        clock: Arc::clone(&shared.clock),
        seal: shared.handle_seal.clone(),
        room: room(),
    };
    let payloads = Payloads {
        handles: handles.clone(),
        registry: shared.registry.clone(),
        streams: Streams::new(limits),
        uploads: room(),
        payload_bytes_max: shared.limits.payload_bytes_max,
        idle: limits.payload_idle(),
        tasks: shared.tasks.clone(),
        polls_end: shared.polls_end.clone(),
    };
    let workers = Workers {
        engine: Arc::clone(&shared.engine),
        registrations: Arc::clone(&shared.registrations),
        registry: shared.registry.clone(),
        seal: shared.lease_seal.clone(),
        handles: handles.clone(),
    };
    let admin = WorkerAdmin {
        registry: shared.registry.clone(),
        roll: Arc::clone(&shared.roll),
        herald: shared.engine.herald.clone(),
        issuance: shared.issuance.clone(),
        clock: Arc::clone(&shared.clock),
        page_key: Arc::clone(&shared.page_key),
        page_rows_max: shared.limits.page_rows_max,
        enrolment_endpoint: shared.endpoints.enrol.clone(),
        token_life: shared.token_life,
        silence_max: shared.silence_max,
    };
    let capabilities = Capabilities {
        registry: shared.registry.clone(),
        page_key: Arc::clone(&shared.page_key),
        page_rows_max: shared.limits.page_rows_max,
    };
    let namespaces = Namespaces {
        registry: shared.registry.clone(),
        clock: Arc::clone(&shared.clock),
        page_key: Arc::clone(&shared.page_key),
        page_rows_max: shared.limits.page_rows_max,
    };
    let definitions = Definitions {
        engine: Arc::clone(&shared.engine),
        store: shared.store.clone(),
        registry: shared.registry.clone(),
        page_key: Arc::clone(&shared.page_key),
    };
    let runs = Runs {
        engine: Arc::clone(&shared.engine),
        store: shared.store.clone(),
        registry: shared.registry.clone(),
        page_key: Arc::clone(&shared.page_key),
        silence_max: shared.silence_max,
        handles: handles.clone(),
        polls_end: shared.polls_end.clone(),
    };
    let timelines = Timelines {
        engine: Arc::clone(&shared.engine),
        store: shared.store.clone(),
        registry: shared.registry.clone(),
        polls_end: shared.polls_end.clone(),
    };
    let reviews = Reviews {
        engine: Arc::clone(&shared.engine),
        store: shared.store.clone(),
        registry: shared.registry.clone(),
        page_key: Arc::clone(&shared.page_key),
        handles,
    };
    let identities = Identities {
        registry: shared.registry.clone(),
    };
    let installations = Installations {
        store: shared.store.clone(),
        board: Arc::clone(&shared.board),
        keep_days: shared.keep_days,
        silence_max: shared.silence_max,
    };
    let (reporter, health) = meta::health();
    let routes = Routes::new(limited!(WorkerServiceServer::new(workers), limits))
        .add_service(limited!(DefinitionServiceServer::new(definitions), limits))
        .add_service(limited!(RunServiceServer::new(runs), limits))
        .add_service(limited!(TimelineServiceServer::new(timelines), limits))
        .add_service(limited!(PayloadServiceServer::new(payloads), PIECES))
        .add_service(limited!(ReviewServiceServer::new(reviews), limits))
        .add_service(limited!(WorkerAdminServiceServer::new(admin), limits))
        .add_service(limited!(CapabilityServiceServer::new(capabilities), limits))
        .add_service(limited!(NamespaceServiceServer::new(namespaces), limits))
        .add_service(limited!(IdentityServiceServer::new(identities), limits))
        .add_service(limited!(
            InstallationServiceServer::new(installations),
            limits
        ))
        .add_service(limited!(
            AuditServiceServer::new(Audits::new(&shared.store)),
            limits
        ))
        .add_service(health)
        .add_service(meta::reflection()?);
    Ok((reporter, routes.prepare()))
}

/// The one service of the enrolment listener.
#[must_use]
pub fn enrolment_listener(shared: &Shared) -> Routes {
    let enrolment = Enrolment {
        registry: shared.registry.clone(),
        roll: Arc::clone(&shared.roll),
        herald: shared.engine.herald.clone(),
        issuance: shared.issuance.clone(),
        clock: Arc::clone(&shared.clock),
        endpoint: shared.endpoints.grpc.clone(),
    };
    Routes::new(limited!(EnrolmentServiceServer::new(enrolment), ENROLMENT)).prepare()
}

/// A piece of a value, or its header or handle.
const PIECES: MessageLimits = MessageLimits {
    message_in_bytes_max: 320 * 1024,
    message_out_bytes_max: 320 * 1024,
};

/// A token and a signing request are small, and strangers send them.
const ENROLMENT: MessageLimits = MessageLimits {
    message_in_bytes_max: 16 * 1024,
    message_out_bytes_max: 64 * 1024,
};

struct MessageLimits {
    message_in_bytes_max: u32,
    message_out_bytes_max: u32,
}
