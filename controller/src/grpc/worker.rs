//! `WorkerService`: what workers call. The lease is the key, so there are no request ids here.

mod reports;

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::ids::WorkerId;
use fulcrum_proto::common::v1::{ErrorReason, Payload};
use fulcrum_proto::worker::v1 as wire;
use fulcrum_proto::worker::v1::worker_service_server::WorkerService;
use tonic::{Code, Request, Response, Status};

use super::convert::{fault, operation, payload, time, trace};
use super::lease_seal::LeaseSeal;
use super::payloads::Handles;
use super::payloads::room::Held;
use super::payloads::seal::Holder;
use super::registration::{Registrations, Served};
use crate::engine::beating::Standing;
use crate::engine::delivery::Delivery;
use crate::engine::token::LeaseToken;
use crate::engine::working::LeaseCall;
use crate::identity::{IdentityId, Registry};
use crate::server::authorize::Caller;
use crate::server::fault::Fault;
use crate::{PgEngine, grpc::caller};

/// Reports in one call.
pub(super) const REPORT_BATCH_MAX: usize = 100;
/// Operations in one append.
const JOURNAL_BATCH_MAX: usize = 100;
/// Leases in one heartbeat.
const HEARTBEAT_BATCH_MAX: usize = 1_000;
/// Longest id of a lease call, in bytes.
const CALL_ID_BYTES_MAX: usize = 64;
/// Longest wait of a lease call.
const LEASE_WAIT_MAX: Duration = Duration::from_secs(50);

/// The service.
pub struct Workers {
    /// The engine.
    pub engine: Arc<PgEngine>,
    /// What each worker serves, and certificates.
    pub registrations: Arc<Registrations>,
    /// Namespaces.
    pub registry: Registry,
    /// Seals lease tokens.
    pub seal: LeaseSeal,
    /// Values that come and go apart.
    pub handles: Handles,
}

#[tonic::async_trait]
impl WorkerService for Workers {
    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterResponse>, Status> {
        let caller = caller(&request)?;
        let answer = self
            .registrations
            .register(&caller, request.into_inner())
            .await?;
        Ok(Response::new(answer))
    }

    async fn lease_tasks(
        &self,
        request: Request<wire::LeaseTasksRequest>,
    ) -> Result<Response<wire::LeaseTasksResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.lease(&caller, request.into_inner()).await?,
        ))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::HeartbeatRequest>,
    ) -> Result<Response<wire::HeartbeatResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.beat(&caller, request.into_inner()).await?,
        ))
    }

    async fn report_tasks(
        &self,
        request: Request<wire::ReportTasksRequest>,
    ) -> Result<Response<wire::ReportTasksResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.reports(&caller, request.into_inner()).await?,
        ))
    }

    async fn append_journal(
        &self,
        request: Request<wire::AppendJournalRequest>,
    ) -> Result<Response<wire::AppendJournalResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.append(&caller, request.into_inner()).await?,
        ))
    }

    async fn renew_certificate(
        &self,
        request: Request<wire::RenewCertificateRequest>,
    ) -> Result<Response<wire::RenewCertificateResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(
            self.registrations
                .renew(&caller, request.into_inner())
                .await?,
        ))
    }
}

impl Workers {
    async fn lease(
        &self,
        caller: &Caller,
        request: wire::LeaseTasksRequest,
    ) -> Result<wire::LeaseTasksResponse, Fault> {
        let worker = worker_id(caller);
        let served = self.registrations.served(caller).await?;
        let capabilities: Vec<String> = if request.capabilities.is_empty() {
            served.capabilities.iter().cloned().collect()
        } else {
            request
                .capabilities
                .into_iter()
                .filter(|name| served.capabilities.contains(name))
                .collect()
        };
        let wait = match request.wait {
            Some(span) => Duration::from_millis(time::to_span("wait", span)?.0).min(LEASE_WAIT_MAX),
            None => Duration::ZERO,
        };
        if request.call_id.len() > CALL_ID_BYTES_MAX {
            return Err(Fault::field(
                "call_id",
                format!("must have at most {CALL_ID_BYTES_MAX} bytes"),
            ));
        }
        let (namespace, slots, call_id) = (served.namespace, request.slots, request.call_id);
        let call = LeaseCall {
            worker,
            namespace,
            capabilities,
            slots,
            wait,
            call_id,
            whole_bytes_max: payload::whole_bytes_max(request.whole_bytes_max),
        };
        let deliveries = self.engine.lease(call).await?;
        let lease_ttl = time::span(self.engine.lease);
        let tasks = deliveries
            .into_iter()
            .map(|delivery| self.task(delivery, worker, &served, lease_ttl));
        Ok(wire::LeaseTasksResponse {
            tasks: tasks.collect(),
            retry_after: None,
        })
    }

    async fn beat(
        &self,
        caller: &Caller,
        request: wire::HeartbeatRequest,
    ) -> Result<wire::HeartbeatResponse, Fault> {
        if request.leases.len() > HEARTBEAT_BATCH_MAX {
            return Err(too_many(
                "leases",
                HEARTBEAT_BATCH_MAX,
                request.leases.len(),
            ));
        }
        let worker = worker_id(caller);
        let tokens: Vec<Option<LeaseToken>> = request
            .leases
            .iter()
            .map(|lease| self.seal.open(&lease.lease).ok())
            .collect();
        let known: Vec<LeaseToken> = tokens.iter().flatten().cloned().collect();
        let mut outcomes = self.engine.heartbeat(worker, &known).await?.into_iter();
        let now = self.engine.clock.now();
        let results = tokens.iter().map(|token| {
            let outcome = if token.is_some() {
                outcomes.next()
            } else {
                None
            };
            match outcome {
                Some(Standing::Held(deadline)) => wire::HeartbeatResult {
                    state: wire::LeaseState::Held.into(),
                    lease_ttl: Some(time::span(deadline.since(now))),
                },
                Some(Standing::Cancelled) => wire::HeartbeatResult {
                    state: wire::LeaseState::CancelRequested.into(),
                    lease_ttl: None,
                },
                Some(Standing::Lost) | None => wire::HeartbeatResult {
                    state: wire::LeaseState::Lost.into(),
                    lease_ttl: None,
                },
            }
        });
        Ok(wire::HeartbeatResponse {
            results: results.collect(),
        })
    }

    /// Values in the place of handles. Like the rest of a report, this does not ask whether the worker has registered here.
    async fn redeem(&self, caller: &Caller, payloads: Vec<&mut Payload>) -> Result<Held, Fault> {
        if !payloads.iter().any(|payload| payload.is_handle()) {
            return Ok(Held::default());
        }
        let namespace = caller.principal().scope.to_string();
        let holder = Holder::of(caller, self.registry.namespace(&namespace).await?.id);
        self.handles.redeem(holder, payloads).await
    }

    async fn append(
        &self,
        caller: &Caller,
        request: wire::AppendJournalRequest,
    ) -> Result<wire::AppendJournalResponse, Fault> {
        use wire::append_journal_result::Result as Outcome;
        if request.entries.len() > JOURNAL_BATCH_MAX {
            return Err(too_many(
                "entries",
                JOURNAL_BATCH_MAX,
                request.entries.len(),
            ));
        }
        let token = self.seal.open(&request.lease)?;
        let worker = worker_id(caller);
        let mut results = Vec::with_capacity(request.entries.len());
        for (i, mut entry) in request.entries.into_iter().enumerate() {
            let output = match &mut entry.outcome {
                Some(wire::journal_entry::Outcome::Output(output)) => vec![output],
                Some(wire::journal_entry::Outcome::Failure(_)) | None => Vec::new(),
            };
            let held = self.redeem(caller, output).await;
            let field = format!("entries[{i}]");
            let appended = match &held {
                Ok(_held) => self.append_one(worker, &token, &field, entry).await,
                Err(fault) => Err(fault.clone()),
            };
            let outcome = match appended {
                Ok(()) => Outcome::Recorded(wire::JournalRecorded {}),
                // A lost lease refuses the whole call.
                Err(fault) if fault.reason == ErrorReason::LeaseLost => return Err(fault),
                Err(fault) => Outcome::Error(fault::item_error(fault)),
            };
            results.push(wire::AppendJournalResult {
                result: Some(outcome),
            });
        }
        Ok(wire::AppendJournalResponse { results })
    }

    async fn append_one(
        &self,
        worker: WorkerId,
        token: &LeaseToken,
        field: &str,
        entry: wire::JournalEntry,
    ) -> Result<(), Fault> {
        let digest = operation::to_digest(field, &entry.input_digest)?;
        let output = match entry.outcome {
            Some(wire::journal_entry::Outcome::Output(output)) => {
                payload::to_payload(field, output)?
            }
            Some(wire::journal_entry::Outcome::Failure(_)) | None => {
                return Err(Fault::field(
                    format!("{field}.output"),
                    "is missing: only completed operations are recorded",
                ));
            }
        };
        let output = self.engine.namer(token.run)?.name(output)?;
        let operations = vec![(entry.name, digest, output)];
        Ok(self
            .engine
            .append_journal(worker, token.clone(), operations, trace::current())
            .await?)
    }

    fn task(
        &self,
        delivery: Delivery,
        worker: WorkerId,
        served: &Served,
        lease_ttl: prost_types::Duration,
    ) -> wire::Task {
        let token = LeaseToken::of(&delivery.task);
        let task = delivery.task;
        let holder = holder(worker, served);
        let give = |reference| self.handles.to_read(holder, reference);
        wire::Task {
            lease: self.seal.close(&token).into(),
            task_id: task.lease.task.to_string(),
            namespace: served.name.clone(),
            run_id: task.run.to_string(),
            step_key: task.step.to_string(),
            capability: task.capability,
            contract_version: 0,
            attempt: task.attempt,
            lease_seq: task.lease.seq,
            input: Some(operation::handed(delivery.input, &give)),
            effect_key: delivery.effect_key,
            lease_ttl: Some(lease_ttl),
            time_left: task
                .close_by
                .map(|at| time::span(at.since(task.granted_at))),
            journal: delivery
                .journal
                .into_iter()
                .map(|closed| operation::entry(closed, &give))
                .collect(),
            traceparent: task.trace.map(trace::traceparent).unwrap_or_default(),
            tracestate: String::new(),
        }
    }
}

fn worker_id(caller: &Caller) -> WorkerId {
    WorkerId(caller.principal().id.0)
}

fn holder(worker: WorkerId, served: &Served) -> Holder {
    Holder {
        identity: IdentityId(worker.0),
        namespace: served.namespace,
    }
}

fn too_many(field: &str, max: usize, actual: usize) -> Fault {
    Fault::new(
        Code::InvalidArgument,
        ErrorReason::BatchTooLarge,
        format!("{field}: at most {max} a call, got {actual}"),
    )
}
