//! The controller put together. Everything that lives long is spawned here, and ends here.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::time::{Millis, Timestamp};
use fulcrum_store::PgStore;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::audit::{AuditError, KeepLog};
use crate::config::Config;
use crate::engine::start::{EngineOptions, start as start_engine};
use crate::engine::tick::Tick;
use crate::entropy::Entropy;
use crate::foundation::{Foundation, FoundationError};
use crate::grpc::lease_seal::LeaseSeal;
use crate::grpc::page::PageKey;
use crate::grpc::payloads::seal::HandleSeal;
use crate::grpc::registration::{NoteSeen, Registrations, SEEN_GRAIN_MS};
use crate::grpc::services::{self, Endpoints, Shared};
use crate::http::{Health, Readiness, probes};
use crate::identity::methods::METHODS;
use crate::identity::sealing::{self, KeepSealed};
use crate::identity::template::ServerName;
use crate::identity::upkeep::{KeepCertificates, KeepRoll};
use crate::identity::{IdentityId, Issuance, MethodTable, Principal, Registry, Role, Roll, Scope};
use crate::loops::{Board, Loop, Pace, TickError, drive};
use crate::notifier;
use crate::server::Door;
use crate::server::accept::PeerProof;
use crate::server::admission::Admission;
use crate::server::calls::Calls;
use crate::server::connection::Connections;
use crate::server::listen::Listener;
use crate::server::tls::{ClientCertificates, LiveTls, TlsError, server_config};
use crate::shutdown::{Stage, Tasks};
use crate::sockets::{Addresses, BindError, Sockets};
use crate::source::PgSource;
use crate::upkeep::{
    Attend, Follow, KeepPartitions, KeepStatistics, Retain, attendance, statistics,
};

/// A running controller.
pub struct Controller {
    addresses: Addresses,
    endpoints: Endpoints,
    controller_id: Uuid,
    store: PgStore,
    tasks: Tasks,
    board: Arc<Board>,
    deadline: Duration,
}

/// Why a controller does not start. The operator must act.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No foundation.
    #[error(transparent)]
    Foundation(#[from] FoundationError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// This controller's certificate cannot be made or used.
    #[error("this controller's certificate: {0}")]
    Certificate(TickError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The roll of identities cannot be read.
    #[error("identities: {0}")]
    Roll(TickError),
    /// The installation log cannot be signed.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The descriptor set cannot be reflected: a mistake of the build.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

impl Controller {
    /// Lays the foundation and starts on it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_on(Foundation::lay(config).await?, config).await
    }

    /// Starts: binds the listeners, starts the engine and the loops, and serves.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_on(foundation: Foundation, config: &Config) -> Result<Self, StartError> {
        let Foundation {
            store,
            clock,
            registry,
            authority,
            kek,
            paging_key,
        } = foundation;
        let (tasks, board, readiness) = (
            Tasks::default(),
            Arc::<Board>::default(),
            Readiness::default(),
        );
        let sockets = Sockets::bind(&config.listen).await?;
        let addresses = sockets.addresses;
        let endpoints = Endpoints::of(&config.listen, &config.identity, addresses);

        let me = myself(&authority.install().clone(), clock.now())?;
        let controller_id = me.id.0;
        let attend = Attend::enter(store.clone(), controller_id).await?;
        let names: Vec<ServerName> = config
            .identity
            .server_names
            .iter()
            .map(|n| ServerName::from_text(n))
            .collect();
        let life = config.identity.server_certificate_life();
        let own = authority
            .issue_server(&me, &names, clock.now(), life)
            .map_err(|error| StartError::Certificate(error.into()))?;
        let required = ClientCertificates::Required(authority.root().clone());
        let main_tls = LiveTls::new(server_config(&own, &required)?);
        let enrol_tls = LiveTls::new(server_config(&own, &ClientCertificates::NotAsked)?);
        let renew_at = clock
            .now()
            .plus(Millis(own.not_after.since(clock.now()).0 / 2));
        let issuance = Issuance::new(
            authority,
            Arc::clone(&clock),
            config.identity.certificate_life(),
        );

        let roll = Arc::<Roll>::default();
        let connections = Arc::<Connections>::default();
        let mut keep_roll = KeepRoll {
            registry: registry.clone(),
            roll: Arc::clone(&roll),
            connections: Arc::clone(&connections),
            clock: Arc::clone(&clock),
        };
        keep_roll.tick().await.map_err(StartError::Roll)?;
        let mut keep_log = KeepLog::new(&store, kek, me.install.clone(), Arc::clone(&clock));
        keep_log.take_up().await?;

        let engine = start_engine(
            Arc::new(store.clone()),
            PgSource::new(store.clone(), config.limits),
            Arc::clone(&clock),
            &engine_options(config, controller_id, attend.silence()),
            &tasks,
            &board,
        );
        notifier::start(&store, &engine, &tasks);
        let follow = Follow {
            tidings: engine.tidings.clone(),
            roll: Arc::clone(&roll),
            attend: Arc::default(),
            watermark: store.watermark(),
        };
        let registrations = Arc::new(Registrations::new(
            registry.clone(),
            issuance.clone(),
            Arc::clone(&engine),
            config.lease.clone(),
            config.server.clone(),
        ));
        let shared = Shared {
            store: store.clone(),
            engine,
            registry: registry.clone(),
            issuance: issuance.clone(),
            roll: Arc::clone(&roll),
            registrations: Arc::clone(&registrations),
            clock: Arc::clone(&clock),
            page_key: Arc::new(PageKey::new(&paging_key)),
            lease_seal: LeaseSeal::new(&paging_key),
            handle_seal: HandleSeal::new(&paging_key),
            tasks: tasks.clone(),
            endpoints: endpoints.clone(),
            server: config.server.clone(),
            limits: config.limits,
            token_life: config.identity.join_token_life(),
            silence_max: Millis(SEEN_GRAIN_MS + config.lease.heartbeat_ms * 3),
            polls_end: tasks.begins(Stage::Polls),
            board: Arc::clone(&board),
            keep_days: config.retention.days,
        };
        let (reporter, main_routes) = services::main_listener(&shared)?;

        let keep = Keep {
            tasks: &tasks,
            board: &board,
        };
        let log_wanted = keep_log.wanted();
        // What whoever was here before has left unsigned.
        log_wanted.notify_one();
        keep.running_when(keep_log, config.loops.sweep_ms, log_wanted);
        keep.running_when(keep_roll, config.loops.sweep_ms, roll.wanted());
        keep.running(NoteSeen(registrations), config.lease.heartbeat_ms);
        keep.running(KeepPartitions(store.clone()), config.loops.partitions_ms);
        keep.running(
            Retain {
                store: store.clone(),
                controller: controller_id,
                days: config.retention.days,
            },
            config.loops.retention_ms,
        );
        keep.running_when(attend, attendance::PERIOD_MS, Arc::clone(&follow.attend));
        tasks.spawn(
            Stage::Loops,
            "follow",
            follow.until(tasks.begins(Stage::Loops)),
        );
        keep.running(KeepStatistics(store.clone()), statistics::PERIOD_MS);
        let listeners = vec![
            (main_tls.clone(), required),
            (enrol_tls.clone(), ClientCertificates::NotAsked),
        ];
        let at_once = Arc::new(Notify::new());
        at_once.notify_one();
        keep.running_when(
            KeepSealed::new(registry.clone(), store.versions()),
            sealing::PERIOD_MS,
            at_once,
        );
        let clock_of_certificates = Arc::clone(&clock);
        let keep_certificates = KeepCertificates {
            registry,
            issuance,
            listeners,
            me,
            names,
            clock: clock_of_certificates,
            life,
            renew_at,
        };
        keep.running(keep_certificates, config.loops.certificates_ms);

        let table = Arc::new(MethodTable::new(METHODS));
        let calls = |door| {
            Calls::new(
                door,
                Arc::clone(&table),
                Admission::new(&config.server),
                config.server.clone(),
            )
        };
        let main = Listener {
            name: "grpc",
            socket: sockets.grpc,
            tls: main_tls,
            proof: PeerProof::Certificate,
            calls: calls(Door::Main { roll, clock }),
            routes: main_routes,
            limits: config.server.clone(),
            connections,
        };
        let enrolment = Listener {
            name: "enrolment",
            socket: sockets.enrol,
            tls: enrol_tls,
            proof: PeerProof::None,
            calls: calls(Door::Enrolment),
            routes: services::enrolment_listener(&shared),
            limits: config.server.clone(),
            connections: Arc::default(),
        };
        let deadline = config.shutdown.deadline();
        for listener in [main, enrolment] {
            tasks.spawn(
                Stage::Calls,
                listener.name,
                listener.serve(tasks.begins(Stage::Accept), deadline / 2),
            );
        }
        tasks.spawn(
            Stage::Store,
            "probes",
            probes::serve(sockets.http, readiness.clone(), tasks.begins(Stage::Store)),
        );
        let health = Health {
            reporter,
            readiness,
            board: Arc::clone(&board),
            pulse: Tick::<PgStore>::NAME,
            store: store.clone(),
        };
        tasks.spawn(
            Stage::Ready,
            "health",
            health.keep(tasks.begins(Stage::Ready)),
        );
        tracing::info!(grpc = %addresses.grpc, enrol = %addresses.enrol, http = %addresses.http, "controller started");
        Ok(Self {
            addresses,
            endpoints,
            controller_id,
            store,
            tasks,
            board,
            deadline,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What newcomers and callers are told to connect to.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What the loops did last.
    #[must_use]
    pub fn board(&self) -> &Board {
        &self.board
    }

    /// Drains and ends, within the configured deadline. Returns the names of what had to be aborted.
    pub async fn shut_down(self) -> Vec<&'static str> {
        tracing::info!("shutting down");
        let aborted = self.tasks.shut_down(self.deadline).await;
        // Whoever cannot say goodbye is forgotten after a minute.
        if let Err(error) = self.store.versions().leave(self.controller_id).await {
            tracing::debug!(%error, "left without a word");
        }
        self.store.close().await;
        aborted
    }
}

/// Runs a controller until `stop`, then drains it.
///
/// # Errors
/// See [`StartError`]; and when something had to be aborted at the shutdown deadline.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), RunError> {
    let controller = Controller::start(&config).await?;
    stop.cancelled().await;
    let aborted = controller.shut_down().await;
    if aborted.is_empty() {
        Ok(())
    } else {
        Err(RunError::Aborted(aborted))
    }
}

/// Why a run did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It did not end in time.
    #[error("aborted at the shutdown deadline: {}", .0.join(", "))]
    Aborted(Vec<&'static str>),
}

/// A controller is a new identity at each start; nobody calls with it, it only names the certificate.
fn myself(install: &crate::identity::InstallId, now: Timestamp) -> Result<Principal, StartError> {
    let id = Registry::new_id(now).map_err(FoundationError::from)?;
    Ok(Principal {
        install: install.clone(),
        scope: Scope::Every,
        role: Role::Controller,
        id: IdentityId(id),
    })
}

fn engine_options(config: &Config, controller: Uuid, silence: Option<Millis>) -> EngineOptions {
    EngineOptions {
        lanes: config.lanes.clone(),
        lease: config.lease.clone(),
        loops: config.loops.clone(),
        limits: config.limits,
        answer_bytes_max: config.server.message_out_bytes_max.into(),
        entropy: Entropy::system(),
        attending: Some(controller),
        silence,
    }
}

/// Spawns loops.
struct Keep<'a> {
    tasks: &'a Tasks,
    board: &'a Arc<Board>,
}

impl Keep<'_> {
    fn running<L: Loop + 'static>(&self, subject: L, period_ms: u64) {
        self.running_when(subject, period_ms, Arc::default());
    }

    fn running_when<L: Loop + 'static>(&self, subject: L, period_ms: u64, wake: Arc<Notify>) {
        let pace = Pace {
            period: Duration::from_millis(period_ms),
            wake,
            entropy: Entropy::system(),
        };
        let running = drive(
            subject,
            pace,
            Arc::clone(self.board),
            self.tasks.begins(Stage::Loops),
        );
        self.tasks.spawn(Stage::Loops, L::NAME, running);
    }
}
