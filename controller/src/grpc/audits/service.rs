//! The calls, and what their answers share.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use fulcrum_audit::NodeHash;
use fulcrum_core::ids::RunId;
use fulcrum_proto::audit::v1 as wire;
use fulcrum_proto::audit::v1::audit_service_server::AuditService;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_store::PgStore;
use fulcrum_store::audit::AuditLog;
use futures_util::stream::Stream;
use tonic::{Code, Request, Response, Status};

use super::{log, timelines};
use crate::grpc::caller::caller;
use crate::grpc::convert::request as ids;
use crate::identity::Scope;
use crate::server::Fault;

/// Content of an answer, in bytes: one more piece fits.
pub(super) const ANSWER_BYTES: usize = 256 * 1024;
/// Runs asked for by id at most.
const RUNS_MAX: usize = 1_000;

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The service.
#[derive(Clone)]
pub struct Audits {
    store: PgStore,
    log: AuditLog,
}

impl Audits {
    /// Over this store.
    #[must_use]
    pub fn new(store: &PgStore) -> Self {
        Self {
            store: store.clone(),
            log: store.audit(),
        }
    }
}

#[tonic::async_trait]
impl AuditService for Audits {
    async fn get_signed_head(
        &self,
        request: Request<wire::GetSignedHeadRequest>,
    ) -> Result<Response<wire::GetSignedHeadResponse>, Status> {
        let known = request.into_inner().known_size;
        let head = self.log.head(known).await.map_err(Fault::from)?;
        let head = head.ok_or_else(unsigned)?;
        let keys = self.log.keys().await.map_err(Fault::from)?;
        let verifier = keys.into_iter().next_back().map(|key| key.verifier);
        Ok(Response::new(wire::GetSignedHeadResponse {
            note: head.note,
            known_size_left: head.hashes.is_none(),
            consistency: head
                .hashes
                .unwrap_or_default()
                .into_iter()
                .map(hash)
                .collect(),
            verifier: verifier.unwrap_or_default(),
            first_place: head.first,
        }))
    }

    type ReadLogStream = Answers<wire::ReadLogResponse>;

    async fn read_log(
        &self,
        request: Request<wire::ReadLogRequest>,
    ) -> Result<Response<Self::ReadLogStream>, Status> {
        of_everything(&request)?;
        let asked = request.into_inner().from_place;
        Ok(Response::new(log::read(self.log.clone(), asked).await?))
    }

    type ReadTimelinesStream = Answers<wire::ReadTimelinesResponse>;

    async fn read_timelines(
        &self,
        request: Request<wire::ReadTimelinesRequest>,
    ) -> Result<Response<Self::ReadTimelinesStream>, Status> {
        of_everything(&request)?;
        let asked = request.into_inner().run_ids;
        if asked.len() > RUNS_MAX {
            let problem = format!("has {} ids; at most {RUNS_MAX} are taken", asked.len());
            return Err(Fault::field("run_ids", problem).into());
        }
        let asked: BTreeSet<RunId> = asked
            .iter()
            .map(|id| ids::run_id(id))
            .collect::<Result<_, _>>()?;
        let asked: Vec<RunId> = asked.into_iter().collect();
        let runs = if asked.is_empty() {
            timelines::Runs::All { after: None }
        } else {
            timelines::Runs::Some(self.log.some_runs(&asked).await.map_err(Fault::from)?)
        };
        Ok(Response::new(timelines::read(self.store.clone(), runs)))
    }
}

/// The record is one for all namespaces, and so must be whoever reads it.
fn of_everything<T>(request: &Request<T>) -> Result<(), Fault> {
    if caller(request)?.principal().scope == Scope::Every {
        return Ok(());
    }
    Err(Fault::new(
        Code::PermissionDenied,
        ErrorReason::PermissionDenied,
        "the record is that of all namespaces; ask as an operator of all of them",
    ))
}

pub(super) fn hash(hash: NodeHash) -> Bytes {
    Bytes::copy_from_slice(&hash.0)
}

pub(super) fn unsigned() -> Fault {
    Fault::unavailable(
        ErrorReason::NothingSigned,
        "the installation log has no signed head yet; it begins with feature level 3",
        Duration::from_secs(1),
    )
}
