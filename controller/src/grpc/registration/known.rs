//! The registrations that this controller knows.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_core::ids::{NamespaceId, WorkerId};
use fulcrum_core::time::Millis;
use fulcrum_proto::common::v1::ErrorReason;
use fulcrum_proto::worker::v1 as wire;
use tonic::Code;

use super::declared::{bounded, contracts, granted, labels, slots, unchanged};
use crate::PgEngine;
use crate::config::LeaseConfig;
use crate::grpc::convert::time;
use crate::grpc::enrolment;
use crate::grpc::worker::REPORT_BATCH_MAX;
use crate::identity::csr::RequestedKey;
use crate::identity::registry::{Registered, Registry, RenewError};
use crate::identity::{IdentityId, IdentityRecord, Issuance};
use crate::loops::{Loop, Progress, TickError};
use crate::server::{Caller, Fault, ServerLimits};

/// Bytes of the SDK's name and version.
const SDK_VERSION_BYTES_MAX: usize = 64;

/// What a worker serves.
#[derive(Debug, Clone)]
pub struct Served {
    /// Its namespace.
    pub namespace: NamespaceId,
    /// The name of its namespace.
    pub name: String,
    /// The capabilities it registered.
    pub capabilities: BTreeSet<String>,
}

/// The registrations that this controller knows.
pub struct Registrations {
    registry: Registry,
    issuance: Issuance,
    engine: Arc<PgEngine>,
    lease: LeaseConfig,
    limits: ServerLimits,
    known: Mutex<HashMap<IdentityId, Arc<Served>>>,
    seen: Mutex<BTreeSet<WorkerId>>,
}

impl Registrations {
    /// None are known at first.
    #[must_use]
    pub fn new(
        registry: Registry,
        issuance: Issuance,
        engine: Arc<PgEngine>,
        lease: LeaseConfig,
        limits: ServerLimits,
    ) -> Self {
        Self {
            registry,
            issuance,
            engine,
            lease,
            limits,
            known: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    /// Takes a worker's registration in place of its earlier one.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` for a capability the identity was not granted, `INVALID_REQUEST` for what is malformed,
    /// `CONTRACT_CHANGED` for a contract that changed without a new version.
    pub async fn register(
        &self,
        caller: &Caller,
        request: wire::RegisterRequest,
    ) -> Result<wire::RegisterResponse, Fault> {
        let identity = self.identity(caller).await?;
        let namespace = self.registry.namespace(&identity.scope.to_string()).await?;
        let contracts = contracts(request.contracts)?;
        granted(&identity, &contracts)?;
        unchanged(
            &self.registry.contracts_in_force(namespace.id).await?,
            &contracts,
        )?;
        let registered = Registered {
            sdk_version: bounded("sdk_version", request.sdk_version, SDK_VERSION_BYTES_MAX)?,
            labels: labels(request.labels)?,
            slots: slots(request.slots)?,
            last_seen_at: self.engine.clock.now(),
            capabilities: contracts.keys().cloned().collect(),
        };
        let worker = WorkerId(identity.id.0);
        self.registry
            .register(
                worker,
                namespace.id,
                &registered,
                contracts.into_values().collect(),
            )
            .await?;
        self.engine.catalog.refresh(namespace.id).await?;
        self.engine.herald.changed();
        let served = Served {
            namespace: namespace.id,
            name: namespace.name.to_string(),
            capabilities: registered.capabilities,
        };
        lock(&self.known).insert(identity.id, Arc::new(served));
        tracing::info!(%worker, name = %identity.name, "registered");
        Ok(self.welcome(worker))
    }

    /// What the calling worker serves.
    ///
    /// # Errors
    /// `NOT_REGISTERED` when this controller does not know.
    pub async fn served(&self, caller: &Caller) -> Result<Arc<Served>, Fault> {
        let id = caller.principal().id;
        self.note_seen(WorkerId(id.0));
        let served = lock(&self.known).get(&id).cloned();
        served.ok_or_else(|| {
            let message = "this controller does not know what you serve; register, then call again";
            Fault::new(
                Code::FailedPrecondition,
                ErrorReason::NotRegistered,
                message,
            )
        })
    }

    /// Notes that a worker is alive; written to the database now and then, for all in one statement.
    pub fn note_seen(&self, worker: WorkerId) {
        lock(&self.seen).insert(worker);
    }

    /// A new certificate for a caller whose old one is still valid.
    ///
    /// # Errors
    /// `CSR_INVALID`, or `UNAUTHENTICATED` if the identity was revoked meanwhile.
    pub async fn renew(
        &self,
        caller: &Caller,
        request: wire::RenewCertificateRequest,
    ) -> Result<wire::RenewCertificateResponse, Fault> {
        let key = RequestedKey::from_der(&request.csr_der).map_err(enrolment::csr)?;
        let certificate = self
            .issuance
            .issue(&key, caller.principal())
            .map_err(enrolment::issue)?;
        let renewed = self
            .registry
            .renew(
                caller.principal().id,
                &certificate.serial,
                key.fingerprint,
                certificate.not_after,
            )
            .await;
        renewed.map_err(|error| match error {
            RenewError::NotActive => {
                let message = "this identity was revoked; enrol again with a new join token";
                Fault::new(Code::Unauthenticated, ErrorReason::Unauthenticated, message)
            }
            RenewError::Store(error) => error.into(),
        })?;
        Ok(wire::RenewCertificateResponse {
            certificate_chain_pem: certificate.chain_pem(),
            ca_bundle_pem: self.issuance.authority().bundle_pem(),
            expires_at: Some(time::instant(certificate.not_after)),
        })
    }

    async fn identity(&self, caller: &Caller) -> Result<IdentityRecord, Fault> {
        let gone = || {
            Fault::new(
                Code::Unauthenticated,
                ErrorReason::Unauthenticated,
                "this identity does not exist any more",
            )
        };
        self.registry
            .identity(caller.principal().id)
            .await?
            .ok_or_else(gone)
    }

    fn welcome(&self, worker: WorkerId) -> wire::RegisterResponse {
        let limits = &self.engine.limits;
        wire::RegisterResponse {
            worker_id: worker.to_string(),
            heartbeat_interval: Some(time::span(Millis(self.lease.heartbeat_ms))),
            lease_ttl: Some(time::span(Millis(self.lease.ttl_ms))),
            limits: Some(wire::WorkerLimits {
                payload_bytes_max: u64::from(limits.payload_bytes_max),
                lease_batch_max: limits.lease_batch_max,
                report_batch_max: REPORT_BATCH_MAX as u32,
                lease_wait_max: Some(time::span(Millis(self.limits.long_poll_max_ms))),
                journal_operations_max: limits.journal_operations_max,
            }),
            features: Vec::new(),
        }
    }
}

/// The store leaves a worker's `last_seen_at` alone when it is younger (`workers_seen.sql`), so it may be so much behind,
/// in milliseconds.
pub const SEEN_GRAIN_MS: u64 = 20_000;

/// Writes who was seen since the last tick.
pub struct NoteSeen(pub Arc<Registrations>);

impl Loop for NoteSeen {
    const NAME: &'static str = "workers_seen";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let seen = std::mem::take(&mut *lock(&self.0.seen));
        if !seen.is_empty() {
            let workers: Vec<WorkerId> = seen.iter().copied().collect();
            self.0.registry.seen(&workers).await?;
        }
        Ok(Progress::done(seen.len() as u64))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each critical section is a single operation on a map or set: valid after any panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
