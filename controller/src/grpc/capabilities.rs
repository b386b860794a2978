//! `CapabilityService`: what the namespace's workers can do.

use std::sync::Arc;

use fulcrum_proto::admin::v1 as wire;
use fulcrum_proto::admin::v1::capability_service_server::CapabilityService;
use fulcrum_proto::common::v1::ErrorReason;
use tonic::{Request, Response, Status};

use super::caller::caller;
use super::convert::{contract, time};
use super::page::{self, Listing, More, PageKey};
use crate::identity::registry::{CapabilityView, Registry};
use crate::server::{Caller, Fault};

/// The service.
pub struct Capabilities {
    /// Where contracts rest.
    pub registry: Registry,
    /// For page tokens.
    pub page_key: Arc<PageKey>,
    /// `limits.page_rows_max`.
    pub page_rows_max: u32,
}

#[tonic::async_trait]
impl CapabilityService for Capabilities {
    async fn list_capabilities(
        &self,
        request: Request<wire::ListCapabilitiesRequest>,
    ) -> Result<Response<wire::ListCapabilitiesResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.list(&caller, request.into_inner()).await?,
        ))
    }

    async fn get_capability(
        &self,
        request: Request<wire::GetCapabilityRequest>,
    ) -> Result<Response<wire::GetCapabilityResponse>, Status> {
        let caller = caller(&request)?;
        let capability = self.get(&caller, request.into_inner()).await?;
        Ok(Response::new(wire::GetCapabilityResponse {
            capability: Some(message(&capability)),
        }))
    }
}

impl Capabilities {
    async fn list(
        &self,
        caller: &Caller,
        request: wire::ListCapabilitiesRequest,
    ) -> Result<wire::ListCapabilitiesResponse, Fault> {
        caller.reach(&request.namespace)?;
        let rows = page::rows(request.page_size, self.page_rows_max)?;
        let listing = Listing {
            key: &self.page_key,
            method: "ListCapabilities",
            filter: &[&request.namespace],
        };
        let after: Option<String> = listing.cursor(&request.page_token)?;
        let namespace = self.registry.namespace(&request.namespace).await?;
        let read = self
            .registry
            .capabilities(&namespace, after, rows + 1)
            .await?;
        let (capabilities, more) = page::cut(read, rows);
        let messages = capabilities.iter().map(message).collect();
        let (messages, more): (Vec<wire::Capability>, More) = page::fit(messages, more);
        let shown = capabilities.get(messages.len().saturating_sub(1));
        Ok(wire::ListCapabilitiesResponse {
            next_page_token: listing.next(more, shown.map(|last| &last.contract.name)),
            capabilities: messages,
        })
    }

    async fn get(
        &self,
        caller: &Caller,
        request: wire::GetCapabilityRequest,
    ) -> Result<CapabilityView, Fault> {
        caller.reach(&request.namespace)?;
        let namespace = self.registry.namespace(&request.namespace).await?;
        let found = self.registry.capability(&namespace, &request.name).await?;
        // Only what is in force can be shown; an older version is as good as unknown.
        let found = found.filter(|view| {
            request.version == 0 || view.contract.version == request.version.to_string()
        });
        found.ok_or_else(|| {
            Fault::not_found(ErrorReason::UnknownCapability, "capability", &request.name)
        })
    }
}

fn message(capability: &CapabilityView) -> wire::Capability {
    wire::Capability {
        contract: Some(contract::contract(&capability.contract)),
        contract_hash: capability.contract.hash().to_string(),
        workers: capability.workers.clone(),
        registered_at: Some(time::instant(capability.registered_at)),
    }
}
