//! Identities, tokens, the authority and namespaces at rest: the border between this crate's types and the store's
//! rows. A row that does not convert is damaged, and says so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_core::contract::Contract;
use fulcrum_core::ids::{NamespaceId, WorkerId};
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use fulcrum_store::PgStore;
use fulcrum_store::catalog::{self, Creation, NewContract, Page};
use fulcrum_store::identity as rows;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::authority::{AuthorityKind, AuthorityRow};
use super::name::{IdentityId, NamespaceName};
use super::record::IdentityRecord;
use super::role::Role;
use super::roll::Standing;
use super::token::{JoinTokenRecord, TokenRefusal};

/// Rows read at once where all are wanted.
const ALL_ROWS: u32 = 1_000;

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    store: PgStore,
    namespaces: Arc<Mutex<HashMap<String, Namespace>>>,
}

/// A namespace. Immutable once made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its id.
    pub id: NamespaceId,
    /// Its name.
    pub name: NamespaceName,
    /// How many shards it has.
    pub shards: u16,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a worker said of itself when it registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Name and version of its SDK.
    pub sdk_version: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// When it was last seen; coarse.
    pub last_seen_at: Timestamp,
    /// What it serves.
    pub capabilities: BTreeSet<String>,
}

/// An identity with its registration, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// Who it is.
    pub identity: IdentityRecord,
    /// What it said.
    pub registered: Option<Registered>,
}

/// A capability in force.
#[derive(Debug, Clone)]
pub struct CapabilityView {
    /// Its contract.
    pub contract: Contract,
    /// Names of the workers that serve it.
    pub workers: Vec<String>,
    /// When this contract was first registered.
    pub registered_at: Timestamp,
}

/// Why a namespace is not found.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NamespaceError {
    /// There is none of this name.
    #[error("there is no namespace `{0}`")]
    NotFound(String),
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a token is not redeemed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RedeemError {
    /// It does not admit.
    #[error(transparent)]
    Refused(#[from] TokenRefusal),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a renewal is not recorded.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RenewError {
    /// The identity is unknown or revoked.
    #[error("the identity is not active")]
    NotActive,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registry {
    /// A registry over a store.
    #[must_use]
    pub fn new(store: PgStore) -> Self {
        Self {
            store,
            namespaces: Arc::default(),
        }
    }

    /// A fresh identity id: a UUIDv7 of this moment.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn new_id(now: Timestamp) -> Result<Uuid, StoreError> {
        let mut random = [0; 10];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::Refused(format!("no randomness: {error}")))?;
        Ok(uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid())
    }

    /// The installation's id and paging key, and the authority: those stored, or these if there are none yet.
    pub async fn init(
        &self,
        install_id: &str,
        paging_key: [u8; 32],
        authorities: &[AuthorityRow],
    ) -> Result<(String, [u8; 32], Vec<AuthorityRow>), StoreError> {
        let row = rows::InstallationRow {
            install_id: install_id.to_owned(),
            paging_key,
        };
        let authorities = authorities.iter().map(authority_row).collect();
        let (stored, authorities) = self.store.installation().init(row, authorities).await?;
        let authorities = authorities
            .into_iter()
            .map(authority)
            .collect::<Result<_, _>>()?;
        Ok((stored.install_id, stored.paging_key, authorities))
    }

    /// The id of the installation, if a controller ever started.
    pub async fn install_id(&self) -> Result<Option<String>, StoreError> {
        Ok(self
            .store
            .installation()
            .get()
            .await?
            .map(|row| row.install_id))
    }

    /// The authority's certificates.
    pub async fn authorities(&self) -> Result<Vec<AuthorityRow>, StoreError> {
        self.store
            .installation()
            .authorities()
            .await?
            .into_iter()
            .map(authority)
            .collect()
    }

    /// Adds a certificate to the authority.
    pub async fn add_authority(&self, row: &AuthorityRow) -> Result<(), StoreError> {
        self.store
            .installation()
            .add_authority(authority_row(row))
            .await
    }

    /// Stores a join token under its id, unless the id is taken.
    pub async fn create_token(
        &self,
        token: &JoinTokenRecord,
        created_by: &str,
    ) -> Result<Stored, StoreError> {
        if self.store.join_tokens().get(token.id).await?.is_some() {
            return Ok(Stored::Before);
        }
        let new = rows::NewJoinToken {
            id: token.id,
            secret_hash: token.secret_hash,
            namespace: token.scope.to_string(),
            kind: kind(token.role),
            name: token.name.to_string(),
            capability_patterns: token.capabilities.iter().map(ToString::to_string).collect(),
            expires_at: token.expires_at,
            created_by: created_by.to_owned(),
        };
        self.store.join_tokens().create(new).await?;
        Ok(Stored::Now)
    }

    /// A join token, used or not.
    pub async fn token(&self, id: Uuid) -> Result<Option<JoinTokenRecord>, StoreError> {
        let Some(rows::JoinTokenRow {
            token,
            used_at,
            revoked_at,
            ..
        }) = self.store.join_tokens().get(id).await?
        else {
            return Ok(None);
        };
        Ok(Some(JoinTokenRecord {
            id: token.id,
            secret_hash: token.secret_hash,
            scope: read(&token.namespace)?,
            role: role(token.kind),
            name: read(&token.name)?,
            capabilities: token
                .capability_patterns
                .iter()
                .map(|p| read(p))
                .collect::<Result<_, _>>()?,
            expires_at: token.expires_at,
            used_at,
            revoked_at,
        }))
    }

    /// Uses a token up and enrols the identity, in one transaction.
    pub async fn redeem(&self, token: Uuid, identity: &IdentityRecord) -> Result<(), RedeemError> {
        self.store
            .join_tokens()
            .redeem(token, identity_row(identity))
            .await?
            .map_err(|refusal| match refusal {
                rows::RedeemRefusal::Unknown => TokenRefusal::Unknown,
                rows::RedeemRefusal::Used => TokenRefusal::Used,
                rows::RedeemRefusal::Revoked => TokenRefusal::Revoked,
                rows::RedeemRefusal::Expired => TokenRefusal::Expired,
            })?;
        Ok(())
    }

    /// An identity.
    pub async fn identity(&self, id: IdentityId) -> Result<Option<IdentityRecord>, StoreError> {
        self.store
            .identities()
            .get(id.0)
            .await?
            .map(identity)
            .transpose()
    }

    /// Notes a newer certificate of an active identity.
    pub async fn renew(
        &self,
        id: IdentityId,
        serial: &str,
        key_fingerprint: [u8; 32],
        not_after: Timestamp,
    ) -> Result<(), RenewError> {
        let renewed = self
            .store
            .identities()
            .renew(id.0, serial, &key_fingerprint, not_after)
            .await?;
        renewed.map_err(|refusal| match refusal {
            rows::RenewRefusal::Unknown | rows::RenewRefusal::Revoked => RenewError::NotActive,
        })
    }

    /// Takes an identity's access away. Again changes nothing.
    pub async fn revoke(&self, id: IdentityId, reason: &str) -> Result<(), StoreError> {
        self.store
            .identities()
            .revoke(id.0, reason)
            .await
            .map(|_exists| ())
    }

    /// Everybody's standing, unless nothing changed since this revision.
    pub async fn standings(
        &self,
        known_revision: i64,
    ) -> Result<Option<(i64, HashMap<IdentityId, Standing>)>, StoreError> {
        let Some(snapshot) = self.store.identities().snapshot(known_revision).await? else {
            return Ok(None);
        };
        let standings = snapshot.standings.into_iter().map(|standing| {
            let is = match standing.status {
                rows::IdentityStatus::Active => Standing::Active {
                    min_issued_at: standing.min_issued_at,
                },
                rows::IdentityStatus::Revoked => Standing::Revoked,
            };
            (IdentityId(standing.id), is)
        });
        Ok(Some((snapshot.revision, standings.collect())))
    }

    /// The namespace of this name.
    pub async fn namespace(&self, name: &str) -> Result<Namespace, NamespaceError> {
        let known = self.lock().get(name).cloned();
        if let Some(namespace) = known {
            return Ok(namespace);
        }
        let found = self.store.namespaces().by_name(name).await?;
        let namespace =
            self::namespace(found.ok_or_else(|| NamespaceError::NotFound(name.to_owned()))?)?;
        self.lock().insert(name.to_owned(), namespace.clone());
        Ok(namespace)
    }

    /// Makes a namespace; `None` if there is one of this name.
    pub async fn create_namespace(
        &self,
        name: &NamespaceName,
        shards: u16,
        now: Timestamp,
    ) -> Result<Option<Namespace>, StoreError> {
        let id = NamespaceId(Self::new_id(now)?);
        match self
            .store
            .namespaces()
            .create(id, name.as_str(), shards)
            .await?
        {
            Ok(Creation::Made(row)) => namespace(row).map(Some),
            Ok(Creation::Found(_)) => Ok(None),
            // Name and shards were checked on the way in.
            Err(refusal) => Err(StoreError::Refused(refusal.to_string())),
        }
    }

    /// Namespaces by name.
    pub async fn namespaces(
        &self,
        after: Option<String>,
        rows: u32,
    ) -> Result<Vec<Namespace>, StoreError> {
        let read = self.store.namespaces().list(Page { after, rows }).await?;
        read.into_iter().map(namespace).collect()
    }

    /// Takes a worker's registration in place of its earlier one.
    pub async fn register(
        &self,
        worker: WorkerId,
        namespace: NamespaceId,
        registered: &Registered,
        contracts: Vec<Contract>,
    ) -> Result<(), StoreError> {
        let new = rows::NewWorker {
            worker,
            namespace,
            instance: Self::new_id(registered.last_seen_at)?,
            sdk_version: registered.sdk_version.clone(),
            labels: registered.labels.clone(),
            slots: registered.slots,
            draining: rows::Draining::No,
        };
        let contracts = contracts
            .iter()
            .map(new_contract)
            .collect::<Result<_, _>>()?;
        self.store.workers().register(new, contracts).await
    }

    /// Notes that these workers are alive.
    pub async fn seen(&self, workers: &[WorkerId]) -> Result<(), StoreError> {
        self.store.workers().seen(workers).await
    }

    /// Workers of a namespace, newest first.
    pub async fn workers(
        &self,
        namespace: &Namespace,
        after: Option<IdentityId>,
        rows: u32,
    ) -> Result<Vec<WorkerView>, StoreError> {
        let page = Page {
            after: after.map(|id| id.0),
            rows,
        };
        let read = self
            .store
            .workers()
            .list(Some(namespace.name.as_str()), page)
            .await?;
        read.into_iter().map(worker_view).collect()
    }

    /// An identity of a namespace: a worker with its registration, or an operator.
    pub async fn worker(
        &self,
        namespace: &Namespace,
        id: IdentityId,
    ) -> Result<Option<WorkerView>, StoreError> {
        let view = match self.store.workers().get(WorkerId(id.0)).await? {
            Some(listed) => Some(worker_view(listed)?),
            None => self.identity(id).await?.map(|identity| WorkerView {
                identity,
                registered: None,
            }),
        };
        Ok(view.filter(|view| view.identity.scope.to_string() == namespace.name.as_str()))
    }

    /// The worker of this name in a namespace; an active one before a revoked one.
    pub async fn worker_named(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<WorkerView>, StoreError> {
        let all = self.workers(namespace, None, ALL_ROWS).await?;
        let named = all
            .into_iter()
            .filter(|view| view.identity.name.as_str() == name);
        Ok(named.min_by_key(|view| view.identity.revoked_at.is_some()))
    }

    /// Capabilities in force, by name.
    pub async fn capabilities(
        &self,
        namespace: &Namespace,
        after: Option<String>,
        rows: u32,
    ) -> Result<Vec<CapabilityView>, StoreError> {
        let read = self
            .store
            .contracts()
            .list(namespace.id, Page { after, rows })
            .await?;
        let workers = self.workers(namespace, None, ALL_ROWS).await?;
        read.into_iter()
            .map(|capability| capability_view(capability, &workers))
            .collect()
    }

    /// The contracts in force in a namespace. Damaged ones are left out: they bind nobody.
    pub async fn contracts_in_force(
        &self,
        namespace: NamespaceId,
    ) -> Result<Vec<Contract>, StoreError> {
        let read = self.store.contracts().in_force(namespace).await?;
        Ok(read
            .iter()
            .filter_map(|row| serde_json::from_slice(&row.contract.contract.body).ok())
            .collect())
    }

    /// What is in force for one capability.
    pub async fn capability(
        &self,
        namespace: &Namespace,
        name: &str,
    ) -> Result<Option<CapabilityView>, StoreError> {
        let Some(capability) = self.store.contracts().current(namespace.id, name).await? else {
            return Ok(None);
        };
        let workers = self.workers(namespace, None, ALL_ROWS).await?;
        capability_view(capability, &workers).map(Some)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Namespace>> {
        // Single map operations: valid after any panic.
        self.namespaces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call stored something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It did.
    Now,
    /// An earlier one had.
    Before,
}

fn read<T: std::str::FromStr>(text: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        StoreError::Refused(format!("a stored identity is damaged: {error}"))
    })
}

fn namespace(row: catalog::Namespace) -> Result<Namespace, StoreError> {
    Ok(Namespace {
        id: row.id,
        name: read(&row.name)?,
        shards: row.shards,
        created_at: row.created_at,
    })
}

fn authority_row(row: &AuthorityRow) -> rows::AuthorityRow {
    rows::AuthorityRow {
        serial: row.serial.clone(),
        kind: match row.kind {
            AuthorityKind::Root => rows::AuthorityKind::Root,
            AuthorityKind::Issuing => rows::AuthorityKind::Issuing,
        },
        cert_pem: row.certificate_pem.clone(),
        key_pem: row.key_pem.expose_secret().as_bytes().to_vec(),
        not_after: row.not_after,
    }
}

fn authority(row: rows::AuthorityRow) -> Result<AuthorityRow, StoreError> {
    let damaged = |_| StoreError::Refused("a stored authority key is damaged".to_owned());
    Ok(AuthorityRow {
        kind: match row.kind {
            rows::AuthorityKind::Root => AuthorityKind::Root,
            rows::AuthorityKind::Issuing => AuthorityKind::Issuing,
        },
        serial: row.serial,
        certificate_pem: row.cert_pem,
        key_pem: String::from_utf8(row.key_pem).map_err(damaged)?.into(),
        not_after: row.not_after,
    })
}

fn identity_row(identity: &IdentityRecord) -> rows::NewIdentity {
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

fn identity(row: rows::IdentityRow) -> Result<IdentityRecord, StoreError> {
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

fn worker_view(listed: rows::ListedWorker) -> Result<WorkerView, StoreError> {
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

fn new_contract(contract: &Contract) -> Result<NewContract, StoreError> {
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

fn capability_view(
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

fn kind(role: Role) -> rows::IdentityKind {
    match role {
        Role::Executor => rows::IdentityKind::Executor,
        Role::Connector => rows::IdentityKind::Connector,
        Role::Operator => rows::IdentityKind::Operator,
        Role::Client => rows::IdentityKind::Client,
        Role::Controller => rows::IdentityKind::Controller,
    }
}

fn role(kind: rows::IdentityKind) -> Role {
    match kind {
        rows::IdentityKind::Executor => Role::Executor,
        rows::IdentityKind::Connector => Role::Connector,
        rows::IdentityKind::Operator => Role::Operator,
        rows::IdentityKind::Client => Role::Client,
        rows::IdentityKind::Controller => Role::Controller,
    }
}
