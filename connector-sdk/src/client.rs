//! Typed clients on a [`Channel`], with the message limits set in one place.

use fulcrum_proto::{
    admin::v1::{
        capability_service_client::CapabilityServiceClient,
        identity_service_client::IdentityServiceClient,
        namespace_service_client::NamespaceServiceClient,
        worker_admin_service_client::WorkerAdminServiceClient,
    },
    audit::v1::audit_service_client::AuditServiceClient,
    payload::v1::payload_service_client::PayloadServiceClient,
    review::v1::review_service_client::ReviewServiceClient,
    worker::v1::worker_service_client::WorkerServiceClient,
    workflow::v1::{
        definition_service_client::DefinitionServiceClient, run_service_client::RunServiceClient,
        timeline_service_client::TimelineServiceClient,
    },
};

use crate::channel::Channel;

/// Largest answer that is read: several payloads of 4 MiB and what is around them.
pub const ANSWER_BYTES_MAX: usize = 16 << 20;

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(channel: Channel) -> $client<Channel> {
            $client::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX)
        }
    )*};
}

clients! {
    /// What workers call.
    worker: WorkerServiceClient;
    /// Workflow definitions.
    definitions: DefinitionServiceClient;
    /// Runs.
    runs: RunServiceClient;
    /// Timelines.
    timelines: TimelineServiceClient;
    /// Values in pieces; [`transfer`](crate::transfer) makes these calls.
    payloads: PayloadServiceClient;
    /// The inbox.
    reviews: ReviewServiceClient;
    /// Namespaces.
    namespaces: NamespaceServiceClient;
    /// Workers and their join tokens.
    workers: WorkerAdminServiceClient;
    /// Registered capabilities.
    capabilities: CapabilityServiceClient;
    /// The record.
    audits: AuditServiceClient;
    /// Who the caller is.
    identities: IdentityServiceClient;
}
