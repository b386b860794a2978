//! Building a worker, and its life from registration to drain.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use fulcrum_proto::worker::v1::{
    RegisterRequest, RegisterResponse, worker_service_client::WorkerServiceClient,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    beating::{self, Beating},
    desk::{Desk, Outlets},
    polling::{self, timed},
    renewing, reporting,
    running::{self, Bench},
};
use crate::{
    Capability, SDK_VERSION,
    backoff::{Backoff, random_fraction},
    channel::{self, Channel, ConnectError},
    client,
    identity::{IdentityDir, IdentityError},
    lease::Settings,
    refusal::Refusal,
    tls, wire,
};

const SLOTS_DEFAULT: u32 = 16;
const SLOTS_MAX: u32 = 1_000;
const DRAIN_DEFAULT: Duration = Duration::from_secs(20);
/// How long, after a drain's time is up, dropped work may take to be reported.
const LAST_REPORTS: Duration = Duration::from_secs(5);
const REGISTER_TIMEOUT: Duration = Duration::from_secs(15);
/// What to go by where the controller says nothing.
const BEAT_INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const LEASE_WAIT_DEFAULT: Duration = Duration::from_secs(40);
const LEASE_BATCH_DEFAULT: u32 = 100;
const REPORT_BATCH_DEFAULT: u32 = 100;
const PAYLOAD_BYTES_DEFAULT: u64 = 4 << 20;

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
    endpoint: Option<String>,
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
            endpoint: None,
            capabilities: Vec::new(),
            labels: BTreeMap::new(),
            slots: SLOTS_DEFAULT,
            drain_for: DRAIN_DEFAULT,
        }
    }

    /// Connects to this address (`https://host:port`) instead of the one told at enrolment.
    #[must_use]
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
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
        let told = identity.about.as_ref().map(|about| about.endpoint.clone());
        let endpoint = self.endpoint.clone().or(told);
        let endpoint = endpoint.ok_or(WorkerError::NoEndpoint)?;
        let config = tls::mutual_config(&identity).map_err(ConnectError::from)?;
        let tls = tls::Current::new(config);
        let channel = channel::connect_lazy_with(&endpoint, tls.clone())?;
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
        tracing::info!(worker = registered.worker_id, %endpoint, "registered");

        let (desk, outlets) = Desk::open(Settings {
            slots: self.slots,
            poll_slots_max: terms.lease_batch_max,
            beat_interval: terms.beat_interval,
            first_beat: terms.beat_interval.mul_f64(random_fraction()),
        });
        let stop_beating = CancellationToken::new();
        let beating = Beating {
            endpoint,
            tls: tls.clone(),
            interval: terms.beat_interval,
            batch_max: terms.report_batch_max,
        };
        let _stop_beating = stop_beating.clone().drop_guard();
        beating::start(beating, Arc::clone(&desk), stop_beating).map_err(WorkerError::Thread)?;

        let shift = Shift {
            desk,
            client,
            registry,
            registration,
            terms,
            drain_for: self.drain_for,
        };
        let renewing = renewing::renew(shift.client.clone(), self.dir, tls);
        shift.work(outlets, renewing, shutdown).await
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

type Registry = HashMap<String, Arc<dyn Capability>>;

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

/// What this worker tells about itself.
pub(super) struct Registration {
    request: RegisterRequest,
}

impl Registration {
    /// Registers, for as long as it takes.
    ///
    /// # Errors
    /// A refusal that waiting cannot mend.
    pub(super) async fn renew(
        &self,
        client: &mut WorkerServiceClient<Channel>,
    ) -> Result<RegisterResponse, Refusal> {
        let mut backoff = Backoff::default();
        loop {
            let call = client.register(timed(self.request.clone(), REGISTER_TIMEOUT));
            match call.await.map_err(Refusal::from) {
                Ok(response) => return Ok(response.into_inner()),
                Err(refusal) if refusal.is_temporary() => {
                    let pause = backoff.next(refusal.retry_after);
                    tracing::warn!(%refusal, ?pause, "cannot register; will try again");
                    tokio::time::sleep(pause).await;
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }
}

/// The controller's terms, with defaults where it says nothing.
struct Terms {
    beat_interval: Duration,
    lease_wait: Duration,
    lease_batch_max: u32,
    report_batch_max: usize,
    payload_bytes_max: usize,
}

impl Terms {
    fn of(registered: &RegisterResponse) -> Self {
        let limits = registered.limits.unwrap_or_default();
        let or = |told: u32, default: u32| if told == 0 { default } else { told };
        let payload_bytes = match limits.payload_bytes_max {
            0 => PAYLOAD_BYTES_DEFAULT,
            told => told,
        };
        let beat_interval = registered.heartbeat_interval.map(wire::std_duration);
        let lease_wait = limits.lease_wait_max.map(wire::std_duration);
        Self {
            beat_interval: beat_interval
                .filter(|interval| !interval.is_zero())
                .unwrap_or(BEAT_INTERVAL_DEFAULT),
            lease_wait: lease_wait
                .unwrap_or(LEASE_WAIT_DEFAULT)
                .min(LEASE_WAIT_DEFAULT),
            lease_batch_max: or(limits.lease_batch_max, LEASE_BATCH_DEFAULT),
            report_batch_max: or(limits.report_batch_max, REPORT_BATCH_DEFAULT) as usize,
            payload_bytes_max: usize::try_from(payload_bytes).unwrap_or(usize::MAX),
        }
    }
}

/// A registered worker at work.
struct Shift {
    desk: Arc<Desk>,
    client: WorkerServiceClient<Channel>,
    registry: Registry,
    registration: Arc<Registration>,
    terms: Terms,
    drain_for: Duration,
}

impl Shift {
    async fn work(
        self,
        mut outlets: Outlets,
        renewing: impl Future<Output = Result<(), WorkerError>>,
        shutdown: CancellationToken,
    ) -> Result<(), WorkerError> {
        let draining = CancellationToken::new();
        let give_up = CancellationToken::new();
        let bench = Arc::new(Bench {
            client: self.client.clone(),
            payload_bytes_max: self.terms.payload_bytes_max,
            give_up: give_up.clone(),
        });
        // Dropping a set aborts what is still in it.
        let mut polls = JoinSet::new();
        let mut tasks = JoinSet::new();
        let mut reporter = JoinSet::new();
        reporter.spawn(reporting::report(
            self.client.clone(),
            Arc::clone(&self.desk),
            outlets.reports,
            self.terms.report_batch_max,
        ));
        let mut verdict = Ok(());
        let mut renewing = std::pin::pin!(renewing);
        let mut renewal_ended = false;
        let mut drain_clock = std::pin::pin!(drain_clock(&draining, &give_up, self.drain_for));
        self.desk.begin();
        loop {
            tokio::select! {
                () = self.desk.drained().cancelled() => break,
                () = &mut drain_clock => {
                    let left = self.desk.held();
                    tracing::warn!(left, "the drain's time is up; leaving what is not reported");
                    break;
                }
                () = shutdown.cancelled(), if !draining.is_cancelled() => {
                    tracing::info!("draining");
                    draining.cancel();
                    self.desk.drain();
                }
                Some(poll) = outlets.polls.recv() => {
                    polls.spawn(polling::poll(
                        self.client.clone(),
                        Arc::clone(&self.desk),
                        Arc::clone(&self.registration),
                        poll,
                        self.terms.lease_wait,
                        draining.clone(),
                    ));
                }
                Some(job) = outlets.jobs.recv() => {
                    let capability = self.registry.get(&job.task.capability).cloned();
                    let desk = Arc::clone(&self.desk);
                    let bench = Arc::clone(&bench);
                    tasks.spawn(async move {
                        if let Some(report) = running::run(bench, capability, job).await {
                            desk.finished(report);
                        }
                    });
                }
                Some(polled) = polls.join_next() => {
                    if let Ok(Err(refusal)) = polled && verdict.is_ok() {
                        tracing::error!(%refusal, "the controller refuses this worker; draining");
                        verdict = Err(refusal.into());
                        draining.cancel();
                        self.desk.drain();
                    }
                }
                Some(_) = tasks.join_next() => {}
                renewed = &mut renewing, if !renewal_ended => {
                    renewal_ended = true;
                    if let Err(error) = renewed {
                        tracing::error!(%error, "the certificate will not be renewed");
                    }
                }
            }
        }
        verdict
    }
}

/// Ends when a drain must be over: first, all work is told to give up; then its reports have a little time.
async fn drain_clock(draining: &CancellationToken, give_up: &CancellationToken, time: Duration) {
    draining.cancelled().await;
    tokio::time::sleep(time).await;
    give_up.cancel();
    tokio::time::sleep(LAST_REPORTS).await;
}
