//! From rows and to rows.

use fulcrum_core::contract::Contract;
use fulcrum_core::store::StoreError;
use fulcrum_store::catalog::{self, NewContract};
use fulcrum_store::identity as rows;

use super::views::{CapabilityView, Namespace, Registered, WorkerView};
use crate::identity::name::IdentityId;
use crate::identity::record::IdentityRecord;
use crate::identity::role::Role;

pub(super) fn read<T: std::str::FromStr>(text: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        StoreError::Refused(format!("a stored identity is damaged: {error}"))
    })
}

pub(super) fn namespace(row: catalog::Namespace) -> Result<Namespace, StoreError> {
    Ok(Namespace {
        id: row.id,
        name: read(&row.name)?,
        shards: row.shards,
        created_at: row.created_at,
    })
}

pub(super) fn identity_row(identity: &IdentityRecord) -> rows::NewIdentity {
    rows::NewIdentity {
        id: identity.id.0,
        namespace: identity.scope.to_string(),
        kind: kind(identity.role),
        name: identity.name.to_string(),
        serial: identity.serial.clone(),
        public_key_sha256: identity.key_fingerprint.to_vec(),
        not_after: identity.not_after,
        min_issued_at: identity.min_issued_at,
        capability_patterns: identity
            .capabilities
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}

pub(super) fn identity(row: rows::IdentityRow) -> Result<IdentityRecord, StoreError> {
    let rows::IdentityRow {
        identity,
        created_at,
        revoked_at,
        ..
    } = row;
    let damaged = |_| StoreError::Refused("a stored key fingerprint is damaged".to_owned());
    Ok(IdentityRecord {
        id: IdentityId(identity.id),
        scope: read(&identity.namespace)?,
        role: role(identity.kind),
        name: read(&identity.name)?,
        capabilities: identity
            .capability_patterns
            .iter()
            .map(|p| read(p))
            .collect::<Result<_, _>>()?,
        serial: identity.serial,
        key_fingerprint: identity.public_key_sha256.try_into().map_err(damaged)?,
        not_after: identity.not_after,
        min_issued_at: identity.min_issued_at,
        created_at,
        revoked_at,
    })
}

pub(super) fn worker_view(listed: rows::ListedWorker) -> Result<WorkerView, StoreError> {
    let registered = listed.worker.map(|row| Registered {
        sdk_version: row.worker.sdk_version,
        labels: row.worker.labels,
        slots: row.worker.slots,
        last_seen_at: row.last_seen_at,
        capabilities: row
            .serves
            .into_iter()
            .map(|(capability, _)| capability)
            .collect(),
    });
    Ok(WorkerView {
        identity: identity(listed.identity)?,
        registered,
    })
}

pub(super) fn new_contract(contract: &Contract) -> Result<NewContract, StoreError> {
    let body = serde_json::to_vec(contract)
        .map_err(|error| StoreError::Refused(format!("a contract: {error}")))?;
    Ok(NewContract {
        capability: contract.name.clone(),
        hash: contract.hash(),
        version: contract.version.clone(),
        effect: contract.effect,
        body,
    })
}

pub(super) fn capability_view(
    row: catalog::Capability,
    workers: &[WorkerView],
) -> Result<CapabilityView, StoreError> {
    let stored = row.contract;
    let damaged = |error| {
        StoreError::Refused(format!(
            "stored contract `{}` is damaged: {error}",
            stored.contract.capability
        ))
    };
    let contract: Contract = serde_json::from_slice(&stored.contract.body).map_err(damaged)?;
    let serves = |view: &&WorkerView| {
        let registered = view.registered.as_ref();
        view.identity.revoked_at.is_none()
            && registered.is_some_and(|r| r.capabilities.contains(&contract.name))
    };
    let workers = workers
        .iter()
        .filter(serves)
        .map(|view| view.identity.name.to_string())
        .collect();
    Ok(CapabilityView {
        contract,
        workers,
        registered_at: stored.first_seen_at,
    })
}

pub(super) fn kind(role: Role) -> rows::IdentityKind {
    match role {
        Role::Executor => rows::IdentityKind::Executor,
        Role::Connector => rows::IdentityKind::Connector,
        Role::Operator => rows::IdentityKind::Operator,
        Role::Client => rows::IdentityKind::Client,
        Role::Controller => rows::IdentityKind::Controller,
    }
}

pub(super) fn role(kind: rows::IdentityKind) -> Role {
    match kind {
        rows::IdentityKind::Executor => Role::Executor,
        rows::IdentityKind::Connector => Role::Connector,
        rows::IdentityKind::Operator => Role::Operator,
        rows::IdentityKind::Client => Role::Client,
        rows::IdentityKind::Controller => Role::Controller,
    }
}
