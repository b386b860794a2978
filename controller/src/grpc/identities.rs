//! `IdentityService`: callers learn who they are.

use fulcrum_proto::admin::v1 as wire;
use fulcrum_proto::admin::v1::identity_service_server::IdentityService;
use fulcrum_proto::common::v1::ErrorReason;
use tonic::{Code, Request, Response, Status};

use super::caller::caller;
use super::convert::{role, time};
use crate::identity::registry::Registry;
use crate::server::Fault;

/// The service.
pub struct Identities {
    /// Where identities rest.
    pub registry: Registry,
}

#[tonic::async_trait]
impl IdentityService for Identities {
    async fn who_am_i(
        &self,
        request: Request<wire::WhoAmIRequest>,
    ) -> Result<Response<wire::WhoAmIResponse>, Status> {
        let caller = caller(&request)?;
        let principal = caller.principal();
        let gone = || {
            Fault::new(
                Code::Unauthenticated,
                ErrorReason::Unauthenticated,
                "this identity does not exist any more",
            )
        };
        let identity = self
            .registry
            .identity(principal.id)
            .await
            .map_err(Fault::from)?
            .ok_or_else(gone)?;
        Ok(Response::new(wire::WhoAmIResponse {
            identity_id: identity.id.type_id(identity.role),
            name: identity.name.to_string(),
            kind: role::kind(identity.role).into(),
            namespace: identity.scope.to_string(),
            certificate_expires_at: Some(time::instant(caller.certificate().not_after)),
            controller_version: env!("CARGO_PKG_VERSION").to_owned(),
            installation_id: principal.install.to_string(),
        }))
    }
}
