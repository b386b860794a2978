//! The methods.

use std::sync::Arc;

use fulcrum_core::ids::DefinitionHash;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::workflow::v1 as wire;
use fulcrum_proto::workflow::v1::definition_service_server::DefinitionService;
use fulcrum_store::PgStore;
use fulcrum_store::catalog::Page;
use tonic::{Request, Response, Status};

use crate::PgEngine;
use crate::grpc::caller::caller;
use crate::grpc::convert::definition::{self as convert, Standing};
use crate::grpc::page::{self, Listing, More, PageKey, READ_BYTES_MAX};
use crate::identity::registry::{Namespace, Registry};
use crate::server::{Caller, Fault};

/// The service.
pub struct Definitions {
    /// The engine's catalog.
    pub engine: Arc<PgEngine>,
    /// Definitions.
    pub store: PgStore,
    /// Namespaces.
    pub registry: Registry,
    /// For page tokens.
    pub page_key: Arc<PageKey>,
}

#[tonic::async_trait]
impl DefinitionService for Definitions {
    async fn apply_definition(
        &self,
        request: Request<wire::ApplyDefinitionRequest>,
    ) -> Result<Response<wire::ApplyDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.apply(&caller, request.into_inner()).await?,
        ))
    }

    async fn validate_definition(
        &self,
        request: Request<wire::ValidateDefinitionRequest>,
    ) -> Result<Response<wire::ValidateDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let namespace = self.namespace(&caller, &request.namespace).await?;
        let checked = self
            .check(&namespace, &request.source, request.allow_unregistered)
            .await?;
        let answer = wire::ValidateDefinitionResponse {
            definition_hash: checked
                .hash()
                .map(|hash| hash.to_string())
                .unwrap_or_default(),
            diagnostics: checked.diagnostics(),
        };
        Ok(Response::new(answer))
    }

    async fn get_definition(
        &self,
        request: Request<wire::GetDefinitionRequest>,
    ) -> Result<Response<wire::GetDefinitionResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.get(&caller, request.into_inner()).await?,
        ))
    }

    async fn list_definitions(
        &self,
        request: Request<wire::ListDefinitionsRequest>,
    ) -> Result<Response<wire::ListDefinitionsResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.list(&caller, request.into_inner()).await?,
        ))
    }
}

impl Definitions {
    async fn get(
        &self,
        caller: &Caller,
        request: wire::GetDefinitionRequest,
    ) -> Result<wire::GetDefinitionResponse, Fault> {
        use wire::get_definition_request::Version;
        let namespace = self.namespace(caller, &request.namespace).await?;
        let definitions = self.store.definitions();
        let not_found =
            |what: &str| Fault::not_found(ErrorReason::DefinitionNotFound, "workflow", what);
        let (stored, standing) = match request.version {
            None => {
                return Err(Fault::field(
                    "version",
                    "name a workflow or a definition hash",
                ));
            }
            Some(Version::Workflow(name)) => {
                let stored = definitions
                    .current(namespace.id, &name)
                    .await?
                    .ok_or_else(|| not_found(&name))?;
                (stored, Standing::Current)
            }
            Some(Version::DefinitionHash(text)) => {
                let hash = convert::hash(&text).ok_or_else(|| not_found(&text))?;
                let stored = definitions
                    .in_namespace(namespace.id, hash)
                    .await?
                    .ok_or_else(|| not_found(&text))?;
                let current = definitions
                    .current_hash(namespace.id, &stored.workflow)
                    .await?;
                (stored, standing(current, hash))
            }
        };
        let mut definition = convert::definition(&stored, standing)?;
        definition.source = stored.source.into_bytes().into();
        Ok(wire::GetDefinitionResponse {
            definition: Some(definition),
        })
    }

    async fn list(
        &self,
        caller: &Caller,
        request: wire::ListDefinitionsRequest,
    ) -> Result<wire::ListDefinitionsResponse, Fault> {
        let namespace = self.namespace(caller, &request.namespace).await?;
        let rows = page::rows(request.page_size, self.engine.limits.page_rows_max)?;
        let filter: [&str; 2] = [&request.namespace, &request.workflow];
        let listing = Listing {
            key: &self.page_key,
            method: "ListDefinitions",
            filter: &filter,
        };
        let store = self.store.definitions();
        let (definitions, next_page_token) = if request.workflow.is_empty() {
            let after: Option<String> = listing.cursor(&request.page_token)?;
            let read = store
                .list(namespace.id, Page { after, rows }, READ_BYTES_MAX)
                .await?;
            let definitions = read
                .items
                .iter()
                .map(|stored| convert::definition(stored, Standing::Current))
                .collect::<Result<_, _>>()?;
            let (definitions, more) = page::fit(definitions, read.rest.into());
            let last = definitions
                .last()
                .map(|last: &wire::Definition| last.workflow.clone());
            let token = listing.next(more, last);
            (definitions, token)
        } else {
            let after: Option<u64> = listing.cursor(&request.page_token)?;
            let current = store.current_hash(namespace.id, &request.workflow).await?;
            let page = Page { after, rows };
            let read = store
                .versions(namespace.id, &request.workflow, page, READ_BYTES_MAX)
                .await?;
            let of = |stored| convert::definition(stored, standing(current, stored.hash));
            let definitions = read.items.iter().map(of).collect::<Result<_, _>>()?;
            let (definitions, more): (Vec<_>, More) = page::fit(definitions, read.rest.into());
            let shown = read.items.get(definitions.len().saturating_sub(1));
            let token = listing.next(more, shown.map(|last| last.version));
            (definitions, token)
        };
        Ok(wire::ListDefinitionsResponse {
            definitions,
            next_page_token,
        })
    }

    pub(super) async fn namespace(&self, caller: &Caller, name: &str) -> Result<Namespace, Fault> {
        caller.reach(name)?;
        Ok(self.registry.namespace(name).await?)
    }
}

fn standing(current: Option<DefinitionHash>, hash: DefinitionHash) -> Standing {
    if current == Some(hash) {
        Standing::Current
    } else {
        Standing::Other
    }
}
