//! Health and reflection: services about services.

use fulcrum_proto::FILE_DESCRIPTOR_SET;
use tonic_health::server::HealthReporter;
use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

/// The services whose health is told, besides the server as a whole (the empty name).
pub const SERVICES: [&str; 13] = [
    "fulcrum.worker.v1.WorkerService",
    "fulcrum.workflow.v1.DefinitionService",
    "fulcrum.workflow.v1.RunService",
    "fulcrum.workflow.v1.TimelineService",
    "fulcrum.payload.v1.PayloadService",
    "fulcrum.audit.v1.AuditService",
    "fulcrum.review.v1.ReviewService",
    "fulcrum.admin.v1.NamespaceService",
    "fulcrum.admin.v1.WorkerAdminService",
    "fulcrum.admin.v1.CapabilityService",
    "fulcrum.admin.v1.IdentityService",
    "fulcrum.admin.v1.InstallationService",
    "",
];

/// The health service and the handle by which it is told.
#[must_use]
pub fn health() -> (HealthReporter, HealthServer<impl Health>) {
    tonic_health::server::health_reporter()
}

/// Tells whoever checks or watches.
pub async fn tell(reporter: &HealthReporter, status: ServingStatus) {
    for service in SERVICES {
        reporter.set_service_status(service, status).await;
    }
}

/// Reflection v1 over the whole contract.
///
/// # Errors
/// When the descriptor set does not decode, which is a mistake of the build.
pub fn reflection()
-> Result<ServerReflectionServer<impl ServerReflection>, tonic_reflection::server::Error> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::identity::methods::METHODS;

    #[test]
    fn every_service_of_the_main_listener_tells_its_health() {
        let served: BTreeSet<&str> = METHODS
            .iter()
            .filter(|method| !method.roles.is_empty() && method.path.starts_with("/fulcrum."))
            .filter_map(|method| method.path[1..].split('/').next())
            .collect();
        let told: BTreeSet<&str> = SERVICES
            .into_iter()
            .filter(|name| !name.is_empty())
            .collect();
        assert_eq!(told, served);
    }

    #[test]
    fn the_descriptor_set_can_be_reflected() {
        assert!(reflection().is_ok());
    }
}
