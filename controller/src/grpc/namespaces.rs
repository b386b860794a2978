//! `NamespaceService`.

use std::sync::Arc;

use fulcrum_proto::admin::v1 as wire;
use fulcrum_proto::admin::v1::namespace_service_server::NamespaceService;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_store::catalog::Answered;
use prost::Message;
use tonic::{Code, Request, Response, Status};

use super::caller::caller;
use super::convert::{request, time};
use super::page::{self, Listing, PageKey};
use crate::clock::DatabaseClock;
use crate::identity::Scope;
use crate::identity::name::{InvalidName, NamespaceName};
use crate::identity::registry::{Namespace, Registry};
use crate::server::{Caller, Fault};

const SHARDS_DEFAULT: u16 = 16;
const SHARDS_MAX: u32 = 4_096;

/// The service.
pub struct Namespaces {
    /// Where namespaces rest.
    pub registry: Registry,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// For page tokens.
    pub page_key: Arc<PageKey>,
    /// `limits.page_rows_max`.
    pub page_rows_max: u32,
}

#[tonic::async_trait]
impl NamespaceService for Namespaces {
    async fn create_namespace(
        &self,
        request: Request<wire::CreateNamespaceRequest>,
    ) -> Result<Response<wire::CreateNamespaceResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.create(&caller, request.into_inner()).await?,
        ))
    }

    async fn get_namespace(
        &self,
        request: Request<wire::GetNamespaceRequest>,
    ) -> Result<Response<wire::GetNamespaceResponse>, Status> {
        let caller = caller(&request)?;
        let name = request.into_inner().name;
        caller.reach(&name)?;
        let namespace = self.registry.namespace(&name).await.map_err(Fault::from)?;
        Ok(Response::new(wire::GetNamespaceResponse {
            namespace: Some(message(&namespace)),
        }))
    }

    async fn list_namespaces(
        &self,
        request: Request<wire::ListNamespacesRequest>,
    ) -> Result<Response<wire::ListNamespacesResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.list(&caller, request.into_inner()).await?,
        ))
    }
}

impl Namespaces {
    async fn create(
        &self,
        caller: &Caller,
        request: wire::CreateNamespaceRequest,
    ) -> Result<wire::CreateNamespaceResponse, Fault> {
        let client = request::client_request("CreateNamespace", &request.request_id, &request)?;
        let name: NamespaceName = request
            .name
            .parse()
            .map_err(|problem: InvalidName| Fault::field("name", problem.to_string()))?;
        caller.reach(name.as_str())?;
        let shards = match request.shards {
            0 => SHARDS_DEFAULT,
            shards if shards <= SHARDS_MAX => u16::try_from(shards).expect("at most 4,096"),
            shards => {
                return Err(Fault::field(
                    "shards",
                    format!("is {shards}; at most {SHARDS_MAX} are possible"),
                ));
            }
        };
        let note = request::note(request::INSTALLATION, client);
        let answered = self
            .registry
            .create_namespace(&name, shards, self.clock.now(), note, |made| {
                made_answer(made).encode_to_vec()
            })
            .await?;
        match answered {
            Answered::Now(Some(made)) => Ok(made_answer(&made)),
            Answered::Now(None) => {
                let message = format!("namespace `{name}` exists");
                Err(Fault::new(
                    Code::AlreadyExists,
                    ErrorReason::NamespaceExists,
                    message,
                ))
            }
            Answered::Before(answer) => request::replay(&answer),
            Answered::Reused => Err(request::reused(&request.request_id)),
        }
    }

    async fn list(
        &self,
        caller: &Caller,
        request: wire::ListNamespacesRequest,
    ) -> Result<wire::ListNamespacesResponse, Fault> {
        if let Scope::Namespace(own) = &caller.principal().scope {
            let namespace = self.registry.namespace(own.as_str()).await?;
            return Ok(wire::ListNamespacesResponse {
                namespaces: vec![message(&namespace)],
                next_page_token: String::new(),
            });
        }
        let rows = page::rows(request.page_size, self.page_rows_max)?;
        let listing = Listing {
            key: &self.page_key,
            method: "ListNamespaces",
            filter: &[],
        };
        let after: Option<String> = listing.cursor(&request.page_token)?;
        let read = self.registry.namespaces(after, rows + 1).await?;
        let (namespaces, more) = page::cut(read, rows);
        let next_page_token = listing.next(more, namespaces.last().map(|last| last.name.as_str()));
        Ok(wire::ListNamespacesResponse {
            namespaces: namespaces.iter().map(message).collect(),
            next_page_token,
        })
    }
}

fn made_answer(made: &Namespace) -> wire::CreateNamespaceResponse {
    wire::CreateNamespaceResponse {
        namespace: Some(message(made)),
    }
}

fn message(namespace: &Namespace) -> wire::Namespace {
    wire::Namespace {
        name: namespace.name.to_string(),
        shards: u32::from(namespace.shards),
        created_at: Some(time::instant(namespace.created_at)),
    }
}
