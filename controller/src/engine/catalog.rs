//! What decisions need to know beyond the run: plans by hash, newest versions by name, contracts by namespace.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulcrum_core::contract::Contract;
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::ids::{DefinitionHash, NamespaceId};
use fulcrum_core::store::StoreError;
use tokio::time::Instant;

/// Contracts by capability.
pub type Contracts = Arc<BTreeMap<String, Arc<Contract>>>;

/// Newest versions by workflow, and when each was read.
type Current = BTreeMap<String, (DefinitionHash, Instant)>;

/// How old what is known of a workflow's newest version may be.
pub const CURRENT_MAX_AGE: Duration = Duration::from_millis(250);
/// Newest versions kept in memory.
const CURRENT_MAX: usize = 4_096;

/// Where plans and contracts come from: the database, or a table in a simulation.
pub trait Source: Send + Sync + 'static {
    /// The plan of a stored definition; `None` if there is none. `Err` text when it does not load.
    fn plan(
        &self,
        hash: DefinitionHash,
    ) -> impl Future<Output = Result<Option<Result<Plan, String>>, StoreError>> + Send;

    /// The newest version of a workflow.
    fn newest(
        &self,
        namespace: NamespaceId,
        workflow: &str,
    ) -> impl Future<Output = Result<Option<DefinitionHash>, StoreError>> + Send;

    /// All contracts in force in a namespace.
    fn contracts(
        &self,
        namespace: NamespaceId,
    ) -> impl Future<Output = Result<Contracts, StoreError>> + Send;
}

/// A cache over a [`Source`]. Plans are immutable and kept (bounded); contracts are refreshed by a loop and on
/// registration, so a decision sees a contract at most one refresh period late.
#[derive(Debug)]
pub struct Catalog<C> {
    source: C,
    plans: Mutex<HashMap<DefinitionHash, Arc<Plan>>>,
    contracts: Mutex<HashMap<NamespaceId, Contracts>>,
    current: Mutex<BTreeMap<NamespaceId, Current>>,
    plans_max: usize,
}

impl<C: Source> Catalog<C> {
    /// A cache for at most `plans_max` plans.
    #[must_use]
    pub fn new(source: C, plans_max: usize) -> Self {
        Self {
            source,
            plans: Mutex::default(),
            contracts: Mutex::default(),
            current: Mutex::default(),
            plans_max,
        }
    }

    /// The plan of a definition, or why it cannot be had.
    pub async fn plan(
        &self,
        hash: DefinitionHash,
    ) -> Result<Result<Arc<Plan>, String>, StoreError> {
        if let Some(plan) = lock(&self.plans).get(&hash) {
            return Ok(Ok(Arc::clone(plan)));
        }
        let plan = match self.source.plan(hash).await? {
            None => return Ok(Err(format!("definition {hash} is not stored"))),
            Some(Err(problem)) => return Ok(Err(problem)),
            Some(Ok(plan)) => Arc::new(plan),
        };
        let mut plans = lock(&self.plans);
        if plans.len() >= self.plans_max {
            // Any victim will do: a plan is loaded again in a millisecond, and only many live versions get here.
            if let Some(victim) = plans.keys().next().copied() {
                plans.remove(&victim);
            }
        }
        plans.insert(hash, Arc::clone(&plan));
        Ok(Ok(plan))
    }

    /// The version of a workflow that a start by name gets. A version applied here counts at once (see
    /// [`Catalog::forget`]), one applied at another controller within [`CURRENT_MAX_AGE`].
    pub async fn current(
        &self,
        namespace: NamespaceId,
        workflow: &str,
    ) -> Result<Option<DefinitionHash>, StoreError> {
        let now = Instant::now();
        if let Some((hash, read_at)) = lock(&self.current)
            .get(&namespace)
            .and_then(|of| of.get(workflow))
            && now.duration_since(*read_at) < CURRENT_MAX_AGE
        {
            return Ok(Some(*hash));
        }
        let found = self.source.newest(namespace, workflow).await?;
        let mut current = lock(&self.current);
        if current.values().map(BTreeMap::len).sum::<usize>() >= CURRENT_MAX {
            current.clear();
        }
        if let Some(hash) = found {
            let of_namespace = current.entry(namespace).or_default();
            of_namespace.insert(workflow.to_owned(), (hash, now));
        }
        Ok(found)
    }

    /// A new version of a workflow was applied here.
    pub fn forget(&self, namespace: NamespaceId, workflow: &str) {
        if let Some(of_namespace) = lock(&self.current).get_mut(&namespace) {
            of_namespace.remove(workflow);
        }
    }

    /// The newest version of a workflow, always from the source.
    pub async fn newest(
        &self,
        namespace: NamespaceId,
        workflow: &str,
    ) -> Result<Option<DefinitionHash>, StoreError> {
        self.source.newest(namespace, workflow).await
    }

    /// The contracts of a namespace.
    pub async fn contracts(&self, namespace: NamespaceId) -> Result<Contracts, StoreError> {
        if let Some(contracts) = lock(&self.contracts).get(&namespace) {
            return Ok(Arc::clone(contracts));
        }
        self.refresh(namespace).await
    }

    /// Reads the contracts of a namespace again.
    pub async fn refresh(&self, namespace: NamespaceId) -> Result<Contracts, StoreError> {
        let contracts = self.source.contracts(namespace).await?;
        lock(&self.contracts).insert(namespace, Arc::clone(&contracts));
        Ok(contracts)
    }

    /// Reads again whatever is cached: what the refresh loop does.
    pub async fn refresh_all(&self) -> Result<(), StoreError> {
        let known: Vec<NamespaceId> = lock(&self.contracts).keys().copied().collect();
        for namespace in known {
            self.refresh(namespace).await?;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each critical section is a single map operation: the map is valid after any panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
