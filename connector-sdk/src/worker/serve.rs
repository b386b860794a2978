//! Building a worker, and its life from registration to drain.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fulcrum_proto::worker::v1::RegisterRequest;
use tokio_util::sync::CancellationToken;

use super::{
    beating::{self, Beating},
    desk::Desk,
    registering::{Registration, Terms},
    renewing,
    shift::{Registry, Shift},
    witnessing,
};
use crate::{
    Capability, SDK_VERSION,
    backoff::random_fraction,
    channel::{self, ConnectError},
    client, clock,
    endpoints::Endpoints,
    identity::{CertificateLife, Identity, IdentityDir, IdentityError},
    lease::Settings,
    refusal::Refusal,
    tls,
    transfer::{Patience, Transfer},
    wire,
};

const SLOTS_DEFAULT: u32 = 16;
const SLOTS_MAX: u32 = 1_000;
const DRAIN_DEFAULT: Duration = Duration::from_secs(20);

/// Why a worker ended, other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The connection cannot be set up.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The identity does not say where the controller is, and neither did the caller.
    #[error("no controller address is known; enrol, or name it with `endpoint`")]
    NoEndpoint,
    /// Two capabilities have one name.
    #[error("capability {0} is given twice; give each a name of its own")]
    DuplicateCapability(String),
    /// The controller will not serve this worker: its access was taken away, its version is too old, or it
    /// offers what it may not.
    #[error("the controller refuses this worker: {0}")]
    Refused(#[from] Refusal),
    /// The heartbeat thread cannot be started.
    #[error("cannot start the heartbeat thread: {0}")]
    Thread(std::io::Error),
}

/// A worker to be run.
///
/// ```no_run
/// # async fn example(greet: impl fulcrum_sdk::Capability) -> Result<(), fulcrum_sdk::WorkerError> {
/// use fulcrum_sdk::{IdentityDir, Worker, shutdown};
///
/// Worker::new(IdentityDir::at("identity"))
///     .capability(greet)
///     .slots(8)
///     .run(shutdown::on_signal())
///     .await
/// # }
/// ```
pub struct Worker {
    dir: IdentityDir,
    endpoints: Vec<String>,
    capabilities: Vec<Arc<dyn Capability>>,
    labels: BTreeMap<String, String>,
    slots: u32,
    drain_for: Duration,
}

impl Worker {
    /// A worker with the identity in `dir`, without capabilities, with 16 slots.
    pub fn new(dir: IdentityDir) -> Self {
        Self {
            dir,
            endpoints: Vec::new(),
            capabilities: Vec::new(),
            labels: BTreeMap::new(),
            slots: SLOTS_DEFAULT,
            drain_for: DRAIN_DEFAULT,
        }
    }

    /// Connects to this address (`https://host:port`) instead of the one told at enrolment. Several may be given,
    /// one after the other or with commas between: when the controller in use fails, the worker goes to the next.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoints.push(endpoint.into());
        self
    }

    /// Offers a capability.
    #[must_use]
    pub fn capability(self, capability: impl Capability) -> Self {
        self.capabilities([Arc::new(capability) as Arc<dyn Capability>])
    }

    /// Offers several capabilities.
    #[must_use]
    pub fn capabilities(
        mut self,
        capabilities: impl IntoIterator<Item = Arc<dyn Capability>>,
    ) -> Self {
        self.capabilities.extend(capabilities);
        self
    }

    /// Adds a label, for display and selection.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), value.into());
        self
    }

    /// Works on so many tasks at once, 1–1,000.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots.clamp(1, SLOTS_MAX);
        self
    }

    /// Lets running tasks go on for so long after shutdown was asked for; 20 s unless said otherwise. What is
    /// not done by then is dropped and reported as such.
    #[must_use]
    pub fn drain_for(mut self, time: Duration) -> Self {
        self.drain_for = time;
        self
    }

    /// Works until `shutdown` trips, then drains. Lost connections are waited out.
    ///
    /// # Errors
    /// [`WorkerError`]: what waiting cannot mend.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let identity = self.dir.load()?;
        warn_if_expired(&identity)?;
        let endpoints = self.endpoints(&identity)?;
        let config = tls::mutual_config(&identity).map_err(ConnectError::from)?;
        let tls = tls::Current::new(config);
        let route = channel::route_lazy(&endpoints, tls.clone());
        let channel = channel::traced(route);
        let transfer = Transfer::new(channel.clone(), Patience::Endless);
        let audits = client::audits(channel.clone());
        let witnessing = Box::pin(witnessing::witness(audits, self.dir.clone()));
        let mut client = client::worker(channel);

        let registry = registry(&self.capabilities)?;
        let registration = Arc::new(Registration {
            request: self.register_request(),
        });
        let registered = tokio::select! {
            registered = registration.renew(&mut client) => registered?,
            () = shutdown.cancelled() => return Ok(()),
        };
        let terms = Terms::of(&registered);
        tracing::info!(worker = registered.worker_id, "registered");

        let (desk, outlets) = Desk::open(Settings {
            slots: self.slots,
            poll_slots_max: terms.lease_batch_max,
            beat_interval: terms.beat_interval,
            first_beat: terms.beat_interval.mul_f64(random_fraction()),
        });
        let stop_beating = CancellationToken::new();
        let beating = Beating {
            endpoints,
            tls: tls.clone(),
            interval: terms.beat_interval,
            batch_max: terms.report_batch_max,
        };
        let _stop_beating = stop_beating.clone().drop_guard();
        beating::start(beating, Arc::clone(&desk), stop_beating).map_err(WorkerError::Thread)?;

        let shift = Shift {
            desk,
            client,
            transfer,
            registry,
            registration,
            terms,
            drain_for: self.drain_for,
        };
        let renewing = renewing::renew(shift.client.clone(), self.dir, tls);
        let keeping = async {
            tokio::select! {
                renewed = renewing => renewed,
                never = witnessing => match never {},
            }
        };
        shift.work(outlets, keeping, shutdown).await
    }

    fn endpoints(&self, identity: &Identity) -> Result<Endpoints, WorkerError> {
        let told = identity.about.as_ref().map(|about| about.endpoint.clone());
        let named = match self.endpoints.is_empty() {
            true => told.ok_or(WorkerError::NoEndpoint)?,
            false => self.endpoints.join(","),
        };
        Ok(named.parse()?)
    }

    fn register_request(&self) -> RegisterRequest {
        let contracts = self.capabilities.iter();
        RegisterRequest {
            contracts: contracts
                .map(|capability| wire::contract(capability.contract()))
                .collect(),
            labels: self.labels.clone().into_iter().collect(),
            sdk_version: SDK_VERSION.into(),
            features: Vec::new(),
            slots: self.slots,
        }
    }
}

fn registry(capabilities: &[Arc<dyn Capability>]) -> Result<Registry, WorkerError> {
    let mut registry = Registry::new();
    for capability in capabilities {
        let name = capability.contract().name.clone();
        if registry
            .insert(name.clone(), Arc::clone(capability))
            .is_some()
        {
            return Err(WorkerError::DuplicateCapability(name));
        }
    }
    Ok(registry)
}

/// Only warns: it is the controller's clock that decides, and this machine's may be wrong.
fn warn_if_expired(identity: &Identity) -> Result<(), IdentityError> {
    let leaf = identity.certificates.first();
    let life = leaf.map(CertificateLife::of).transpose()?;
    if life.is_some_and(|life| life.to < clock::wall()) {
        tracing::warn!("this worker's certificate has expired; if it is refused, enrol again");
    }
    Ok(())
}
