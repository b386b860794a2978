//! `WorkerAdminService`: letting workers and operators in, and out again.

use std::sync::Arc;

use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_proto::admin::v1 as wire;
use fulcrum_proto::admin::v1::get_worker_request::Worker as Which;
use fulcrum_proto::admin::v1::worker_admin_service_server::WorkerAdminService;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_store::catalog::Answered;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

use super::caller::caller;
use super::convert::{request, role, time};
use super::enrolment::TOKEN_LIFE_MAX;
use super::page::{self, Listing, More, PageKey};
use crate::clock::{self, DatabaseClock};
use crate::engine::herald::Herald;
use crate::identity::name::InvalidName;
use crate::identity::pattern::{CapabilityPattern, InvalidPattern};
use crate::identity::registry::{Registry, Stored, WorkerView};
use crate::identity::token::{JoinToken, JoinTokenRecord};
use crate::identity::{IdentityId, Issuance, Role, Roll, Scope};
use crate::server::{Caller, Fault};

const PATTERNS_MAX: usize = 64;
const REASON_BYTES_MAX: usize = 1_024;

/// The service.
pub struct WorkerAdmin {
    /// Where tokens and identities rest.
    pub registry: Registry,
    /// Who is let in; brought up to date before a revocation is answered.
    pub roll: Arc<Roll>,
    /// Tells other controllers.
    pub herald: Herald,
    /// For the pin in tokens.
    pub issuance: Issuance,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// For page tokens.
    pub page_key: Arc<PageKey>,
    /// `limits.page_rows_max`.
    pub page_rows_max: u32,
    /// Where newcomers enrol.
    pub enrolment_endpoint: String,
    /// Life of a token when none is asked for.
    pub token_life: Millis,
    /// A worker not seen for this long counts as disconnected.
    pub silence_max: Millis,
}

#[tonic::async_trait]
impl WorkerAdminService for WorkerAdmin {
    async fn create_join_token(
        &self,
        request: Request<wire::CreateJoinTokenRequest>,
    ) -> Result<Response<wire::CreateJoinTokenResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.create_token(&caller, request.into_inner()).await?,
        ))
    }

    async fn list_workers(
        &self,
        request: Request<wire::ListWorkersRequest>,
    ) -> Result<Response<wire::ListWorkersResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.list(&caller, request.into_inner()).await?,
        ))
    }

    async fn get_worker(
        &self,
        request: Request<wire::GetWorkerRequest>,
    ) -> Result<Response<wire::GetWorkerResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        caller.reach(&request.namespace)?;
        let worker = self.find(&request.namespace, request.worker).await?;
        Ok(Response::new(wire::GetWorkerResponse {
            worker: Some(self.message(&worker)),
        }))
    }

    async fn revoke_worker(
        &self,
        request: Request<wire::RevokeWorkerRequest>,
    ) -> Result<Response<wire::RevokeWorkerResponse>, Status> {
        let caller = caller(&request)?;
        let worker = self.revoke(&caller, request.into_inner()).await?;
        Ok(Response::new(wire::RevokeWorkerResponse {
            worker: Some(self.message(&worker)),
        }))
    }
}

impl WorkerAdmin {
    async fn create_token(
        &self,
        caller: &Caller,
        request: wire::CreateJoinTokenRequest,
    ) -> Result<wire::CreateJoinTokenResponse, Fault> {
        let client = request::client_request("CreateJoinToken", &request.request_id, &request)?;
        caller.reach(&request.namespace)?;
        let role = role::required("kind", request.kind())?;
        let namespace = self.registry.namespace(&request.namespace).await?;
        let life = request
            .ttl
            .map(|ttl| time::to_span("ttl", ttl))
            .transpose()?
            .unwrap_or(self.token_life);
        if life > TOKEN_LIFE_MAX {
            return Err(Fault::field(
                "ttl",
                format!("is {life}; at most {TOKEN_LIFE_MAX} are granted"),
            ));
        }
        let id = token_id(&request.namespace, &request.request_id)?;
        let token =
            JoinToken::mint(self.issuance.pin(), id).map_err(|error| Fault::internal(&error))?;
        let record = JoinTokenRecord {
            id,
            secret_hash: token.secret_hash(),
            scope: Scope::Namespace(namespace.name.clone()),
            role,
            name: request
                .name
                .parse()
                .map_err(|error: InvalidName| Fault::field("name", error.to_string()))?,
            capabilities: patterns(role, &request.capability_patterns)?,
            expires_at: self.clock.now().plus(life),
            used_at: None,
            used_by: None,
            revoked_at: None,
        };
        let made_by = caller.principal().id.type_id(caller.principal().role);
        let note = request::note(namespace.id, client);
        let mut expires_at = record.expires_at;
        match self.registry.create_token(&record, &made_by, note).await? {
            Answered::Now(()) => {}
            Answered::Before(_) => expires_at = self.again(&record).await?,
            Answered::Reused => return Err(request::reused(&request.request_id)),
        }
        Ok(wire::CreateJoinTokenResponse {
            token: token.reveal().expose_secret().to_owned(),
            expires_at: Some(time::instant(expires_at)),
            enrolment_endpoint: self.enrolment_endpoint.clone(),
        })
    }

    /// The first call's token with another secret, for the first one may never have arrived and is kept nowhere. What it
    /// admits and how long stays as it was.
    async fn again(&self, asked: &JoinTokenRecord) -> Result<Timestamp, Fault> {
        let stored = self
            .registry
            .replace_secret(asked.id, asked.secret_hash)
            .await?;
        match (stored, self.registry.token(asked.id).await?) {
            (Stored::Now, Some(first)) => Ok(first.expires_at),
            (Stored::Now | Stored::TooLate, _) => {
                let message = "this request id made a token that was used, revoked or has expired; ask under a new one";
                Err(Fault::new(
                    Code::AlreadyExists,
                    ErrorReason::RequestIdReused,
                    message,
                ))
            }
        }
    }

    async fn list(
        &self,
        caller: &Caller,
        request: wire::ListWorkersRequest,
    ) -> Result<wire::ListWorkersResponse, Fault> {
        caller.reach(&request.namespace)?;
        let rows = page::rows(request.page_size, self.page_rows_max)?;
        let listing = Listing {
            key: &self.page_key,
            method: "ListWorkers",
            filter: &[&request.namespace],
        };
        let after: Option<Uuid> = listing.cursor(&request.page_token)?;
        let namespace = self.registry.namespace(&request.namespace).await?;
        let read = self
            .registry
            .workers(&namespace, after.map(IdentityId), rows + 1)
            .await?;
        let (workers, more) = page::cut(read, rows);
        let messages = workers.iter().map(|w| self.message(w)).collect();
        let (messages, more): (Vec<wire::Worker>, More) = page::fit(messages, more);
        let shown = workers.get(messages.len().saturating_sub(1));
        Ok(wire::ListWorkersResponse {
            next_page_token: listing.next(more, shown.map(|last| last.identity.id.0)),
            workers: messages,
        })
    }

    async fn find(&self, namespace: &str, which: Option<Which>) -> Result<WorkerView, Fault> {
        let namespace = self.registry.namespace(namespace).await?;
        let (found, text) = match which {
            Some(Which::WorkerId(text)) => match IdentityId::from_type_id(&text) {
                Ok(id) => (self.registry.worker(&namespace, id).await?, text),
                Err(_) => (None, text),
            },
            Some(Which::Name(text)) => (self.registry.worker_named(&namespace, &text).await?, text),
            None => return Err(Fault::field("worker", "must name a worker by id or name")),
        };
        found.ok_or_else(|| Fault::not_found(ErrorReason::WorkerNotFound, "worker", text))
    }

    /// Revoking again changes nothing.
    async fn revoke(
        &self,
        caller: &Caller,
        request: wire::RevokeWorkerRequest,
    ) -> Result<WorkerView, Fault> {
        let client = request::client_request("RevokeWorker", &request.request_id, &request)?;
        caller.reach(&request.namespace)?;
        if request.reason.len() > REASON_BYTES_MAX {
            return Err(Fault::field(
                "reason",
                format!("must have at most {REASON_BYTES_MAX} bytes"),
            ));
        }
        let which = || Some(Which::WorkerId(request.worker_id.clone()));
        let worker = self.find(&request.namespace, which()).await?;
        let namespace = self.registry.namespace(&request.namespace).await?;
        let note = request::note(namespace.id, client);
        match self
            .registry
            .revoke(worker.identity.id, &request.reason, note)
            .await?
        {
            Answered::Now(()) | Answered::Before(_) => {}
            Answered::Reused => return Err(request::reused(&request.request_id)),
        }
        self.herald.changed();
        self.roll.refreshed(clock::monotonic()).await;
        tracing::info!(identity = %request.worker_id, by = %caller.principal(), "revoked");
        self.find(&request.namespace, which()).await
    }

    fn message(&self, worker: &WorkerView) -> wire::Worker {
        let WorkerView {
            identity,
            registered,
        } = worker;
        let registered = registered.as_ref();
        wire::Worker {
            worker_id: identity.id.type_id(identity.role),
            name: identity.name.to_string(),
            namespace: identity.scope.to_string(),
            kind: role::kind(identity.role).into(),
            state: self.state(worker).into(),
            capability_patterns: identity
                .capabilities
                .iter()
                .map(ToString::to_string)
                .collect(),
            capabilities: registered
                .map(|r| r.capabilities.iter().cloned().collect())
                .unwrap_or_default(),
            labels: registered
                .map(|r| r.labels.clone().into_iter().collect())
                .unwrap_or_default(),
            sdk_version: registered
                .map(|r| r.sdk_version.clone())
                .unwrap_or_default(),
            enrolled_at: Some(time::instant(identity.created_at)),
            last_seen_at: registered.map(|r| time::instant(r.last_seen_at)),
            certificate_expires_at: Some(time::instant(identity.not_after)),
            slots: registered.map_or(0, |r| r.slots),
        }
    }

    fn state(&self, worker: &WorkerView) -> wire::WorkerState {
        let silent_for = |at: Timestamp| self.clock.now().since(at);
        match (&worker.identity.revoked_at, &worker.registered) {
            (Some(_), _) => wire::WorkerState::Revoked,
            (None, Some(seen)) if silent_for(seen.last_seen_at) <= self.silence_max => {
                wire::WorkerState::Connected
            }
            (None, _) => wire::WorkerState::Disconnected,
        }
    }
}

/// The id of a token follows from the request id, so that a repeated request meets the first one's token.
fn token_id(namespace: &str, request_id: &str) -> Result<Uuid, Fault> {
    let mut bytes = [0; 16];
    if request_id.is_empty() {
        getrandom::fill(&mut bytes).map_err(|error| Fault::internal(&error))?;
    } else {
        let digest = Sha256::digest(format!("join token\0{namespace}\0{request_id}"));
        bytes.copy_from_slice(&digest[..16]);
    }
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

fn patterns(role: Role, texts: &[String]) -> Result<Vec<CapabilityPattern>, Fault> {
    if !role.is_worker() && !texts.is_empty() {
        return Err(Fault::field("capability_patterns", "are for workers"));
    }
    if texts.len() > PATTERNS_MAX {
        return Err(Fault::field(
            "capability_patterns",
            format!("at most {PATTERNS_MAX} are kept"),
        ));
    }
    let wrong = |error: InvalidPattern| Fault::field("capability_patterns", error.to_string());
    texts
        .iter()
        .map(|text| text.parse().map_err(wrong))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_names_the_same_token() {
        let id = |namespace, request| token_id(namespace, request).expect("randomness");
        assert_eq!(id("acme", "r1"), id("acme", "r1"));
        assert_ne!(id("acme", "r1"), id("acme", "r2"));
        assert_ne!(id("acme", "r1"), id("other", "r1"));
        assert_ne!(id("acme", ""), id("acme", ""));
    }

    #[test]
    fn operators_serve_no_capabilities() {
        assert!(patterns(Role::Operator, &["crm.*".to_owned()]).is_err());
        assert_eq!(
            patterns(Role::Connector, &["crm.*".to_owned()]).map(|p| p.len()),
            Ok(1)
        );
    }
}
