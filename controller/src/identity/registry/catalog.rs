//! Namespaces, workers, capabilities.

use fulcrum_core::contract::Contract;
use fulcrum_core::ids::{NamespaceId, WorkerId};
use fulcrum_core::store::StoreError;
use fulcrum_core::time::Timestamp;
use fulcrum_store::catalog::{Answered, Creation, NamespaceCreation, Once, Page, RequestNote};
use fulcrum_store::identity;

use super::handle::Registry;
use super::rows;
use super::views::{CapabilityView, Namespace, NamespaceError, Registered, WorkerView};
use crate::identity::name::{IdentityId, NamespaceName};

/// Rows read at once where all are wanted.
const ALL_ROWS: u32 = 1_000;

impl Registry {
    /// The namespace of this name.
    pub async fn namespace(&self, name: &str) -> Result<Namespace, NamespaceError> {
        let known = self.known().get(name).cloned();
        if let Some(namespace) = known {
            return Ok(namespace);
        }
        let found = self.store.namespaces().by_name(name).await?;
        let namespace =
            rows::namespace(found.ok_or_else(|| NamespaceError::NotFound(name.to_owned()))?)?;
        self.known().insert(name.to_owned(), namespace.clone());
        Ok(namespace)
    }

    /// Makes a namespace; `None` if there is one of this name. A repeated request gets what `answer` made of the first.
    pub async fn create_namespace(
        &self,
        name: &NamespaceName,
        shards: u16,
        now: Timestamp,
        note: Option<RequestNote>,
        answer: impl FnOnce(&Namespace) -> Vec<u8> + Send + 'static,
    ) -> Result<Answered<Option<Namespace>>, StoreError> {
        let id = NamespaceId(Self::new_id(now)?);
        let once = Once::named(note, |made: &NamespaceCreation| match made {
            Ok(Creation::Made(row)) => Some(answer(&rows::namespace(row.clone()).ok()?)),
            Ok(Creation::Found(_)) | Err(_) => None,
        });
        let namespaces = self.store.namespaces();
        Ok(
            match namespaces.create(id, name.as_str(), shards, once).await? {
                Answered::Now(Ok(Creation::Made(row))) => {
                    Answered::Now(Some(rows::namespace(row)?))
                }
                Answered::Now(Ok(Creation::Found(_))) => Answered::Now(None),
                // Name and shards were checked on the way in.
                Answered::Now(Err(refusal)) => {
                    return Err(StoreError::Refused(refusal.to_string()));
                }
                Answered::Before(answer) => Answered::Before(answer),
                Answered::Reused => Answered::Reused,
            },
        )
    }

    /// Namespaces by name.
    pub async fn namespaces(
        &self,
        after: Option<String>,
        rows: u32,
    ) -> Result<Vec<Namespace>, StoreError> {
        let read = self.store.namespaces().list(Page { after, rows }).await?;
        read.into_iter().map(rows::namespace).collect()
    }

    /// Takes a worker's registration in place of its earlier one.
    pub async fn register(
        &self,
        worker: WorkerId,
        namespace: NamespaceId,
        registered: &Registered,
        contracts: Vec<Contract>,
    ) -> Result<(), StoreError> {
        let new = identity::NewWorker {
            worker,
            namespace,
            instance: Self::new_id(registered.last_seen_at)?,
            sdk_version: registered.sdk_version.clone(),
            labels: registered.labels.clone(),
            slots: registered.slots,
            draining: identity::Draining::No,
        };
        let contracts = contracts
            .iter()
            .map(rows::new_contract)
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
        read.into_iter().map(rows::worker_view).collect()
    }

    /// An identity of a namespace: a worker with its registration, or an operator.
    pub async fn worker(
        &self,
        namespace: &Namespace,
        id: IdentityId,
    ) -> Result<Option<WorkerView>, StoreError> {
        let view = match self.store.workers().get(WorkerId(id.0)).await? {
            Some(listed) => Some(rows::worker_view(listed)?),
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
            .map(|capability| rows::capability_view(capability, &workers))
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
        rows::capability_view(capability, &workers).map(Some)
    }
}
