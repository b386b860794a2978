//! A controller as a process on a machine: it lives, dies at any moment with all that it had in memory, leaves in
//! order, and comes up again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulcrum_controller::clock::{DatabaseClock, monotonic};
use fulcrum_controller::config::{LanesConfig, LeaseConfig, LoopsConfig};
use fulcrum_controller::engine::handle::Engine;
use fulcrum_controller::engine::start::{EngineOptions, start};
use fulcrum_controller::entropy::Entropy;
use fulcrum_controller::loops::Board;
use fulcrum_controller::shutdown::{Stage as Closing, Tasks};
use fulcrum_core::limits::Limits;
use fulcrum_core::store::Store as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::call::{Answer, Call};
use super::serve::serve;
use super::store::Connection;
use crate::Stage;
use crate::stage::dice::{Dice, seed_of};
use crate::stage::sometimes::Sometimes;
use crate::workflows::Table;

/// How long a lease lasts.
pub const LEASE_MS: u64 = 3_000;
/// How often workers renew theirs.
pub const HEARTBEAT_MS: u64 = 1_000;
/// How long a controller that leaves may take.
const DRAIN: Duration = Duration::from_secs(5);

/// The engine as it runs here.
pub type SimEngine = Engine<Connection, Table>;

/// One life of a controller.
#[derive(Debug, Clone)]
pub struct Life {
    name: &'static str,
    over: CancellationToken,
    cut_off: Arc<AtomicBool>,
}

impl Life {
    /// The controller's name in the trace.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Has it died?
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// It dies now.
    pub fn end(&self) {
        self.over.cancel();
    }

    /// Can it not reach the database?
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut_off.load(Ordering::Relaxed)
    }
}

/// A running controller.
#[derive(Clone)]
pub struct Process {
    engine: Arc<SimEngine>,
    tasks: Tasks,
    life: Life,
}

impl Process {
    /// Serves a call, as long as it lives.
    pub async fn serve(&self, call: Call) -> Option<Answer> {
        let (mut reply, answer) = oneshot::channel();
        let engine = Arc::clone(&self.engine);
        self.tasks.spawn(Closing::Calls, "call", async move {
            // Whoever goes away takes the call along, wherever it is.
            tokio::select! {
                biased;
                () = reply.closed() => {}
                said = serve(&engine, call) => {
                    let _gone = reply.send(said);
                }
            }
        });
        answer.await.ok()
    }
}

/// What is to befall a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// The process dies and comes up again after this.
    Crash(Duration),
    /// The process leaves in order and comes up again after this.
    Drain(Duration),
}

/// A machine that runs a controller.
pub struct Host {
    stage: Arc<Stage>,
    name: &'static str,
    table: Table,
    cut_off: Arc<AtomicBool>,
    process: Mutex<Option<Process>>,
    blows: tokio::sync::mpsc::Sender<Blow>,
    taken: Mutex<Option<tokio::sync::mpsc::Receiver<Blow>>>,
}

impl Host {
    /// A machine with nothing running on it.
    #[must_use]
    pub fn new(stage: Arc<Stage>, name: &'static str, table: Table) -> Self {
        let (blows, taken) = tokio::sync::mpsc::channel(16);
        Self {
            stage,
            name,
            table,
            cut_off: Arc::default(),
            process: Mutex::default(),
            blows,
            taken: Mutex::new(Some(taken)),
        }
    }

    /// Its name in the trace.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What runs on it now.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        self.lock().clone()
    }

    /// Something befalls it.
    pub fn strike(&self, blow: Blow) {
        // A host that is being struck already needs no more.
        let _full = self.blows.try_send(blow);
    }

    /// Cuts it off from the database, or ends that.
    pub fn cut_off(&self, cut: bool) {
        self.cut_off.store(cut, Ordering::Relaxed);
    }

    /// Keeps a controller running, life after life.
    pub async fn keep_running(self: Arc<Self>) {
        let Some(mut blows) = self
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        let dice = Dice::of(self.stage.seed, self.name);
        for n in 1.. {
            let life = Life {
                name: self.name,
                over: CancellationToken::new(),
                cut_off: Arc::clone(&self.cut_off),
            };
            let process = self.come_up(n, &life).await;
            self.stage.note(self.name, format_args!("is up, life {n}"));
            *self.lock() = Some(process.clone());
            let down = tokio::select! {
                biased;
                () = life.over.cancelled() => {
                    self.stage.note(self.name, "dies");
                    process.tasks.abort();
                    *self.lock() = None;
                    dice.span_ms(50, 4_000)
                }
                Some(blow) = blows.recv() => match blow {
                    Blow::Crash(down) => {
                        self.stage.note(self.name, "is killed");
                        life.end();
                        process.tasks.abort();
                        *self.lock() = None;
                        down
                    }
                    Blow::Drain(down) => {
                        self.stage.note(self.name, "drains");
                        self.stage.saw(Sometimes::ControllerDrained);
                        *self.lock() = None;
                        let aborted = process.tasks.shut_down(DRAIN).await;
                        self.stage.note(self.name, format_args!("has drained; aborted: {aborted:?}"));
                        life.end();
                        process.tasks.abort();
                        down
                    }
                }
            };
            tokio::time::sleep(down).await;
        }
    }

    async fn come_up(&self, n: u64, life: &Life) -> Process {
        let purpose = format!("{} life {n}", self.name);
        let seed = self.stage.seed;
        let store = Arc::new(Connection::of(
            Arc::clone(&self.stage),
            life.clone(),
            Dice::of(seed, &purpose),
        ));
        let now = loop {
            match store.now().await {
                Ok(now) => break now,
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        let clock = Arc::new(DatabaseClock::new(now, monotonic()));
        let tasks = Tasks::default();
        let options = options(seed, Entropy::seeded(seed_of(seed, &purpose)));
        let engine = start(
            store,
            self.table.clone(),
            clock,
            &options,
            &tasks,
            &Arc::<Board>::default(),
        );
        Process {
            engine,
            tasks,
            life: life.clone(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").field("life", &self.life).finish()
    }
}

/// Small sizes, so that bounds are met; some differ from world to world.
fn options(seed: u64, entropy: Entropy) -> EngineOptions {
    let dice = Dice::of(seed, "options");
    let one_of = |sizes: &[u32]| sizes[dice.index(sizes.len())];
    EngineOptions {
        lanes: LanesConfig {
            count: one_of(&[1, 2, 3]),
            queue_max: one_of(&[4, 64]),
            flush_commands_max: one_of(&[2, 8, 64]),
            flush_beside_runs_min: one_of(&[1, 4, 64]),
            cached_runs_max: one_of(&[1, 4, 64]),
            snapshot_every_events: one_of(&[1, 8, 32]),
        },
        lease: LeaseConfig {
            ttl_ms: LEASE_MS,
            heartbeat_ms: HEARTBEAT_MS,
            reassert_ms: LEASE_MS,
        },
        loops: LoopsConfig {
            tick_ms: 500,
            sweep_ms: 10_000,
            mail_age_ms: 500,
            certificates_ms: 1_000,
            partitions_ms: 1_000,
            retention_ms: 1_000,
        },
        limits: Limits {
            crash_count_max: 30,
            ..Limits::default()
        },
        answer_bytes_max: 8 << 20,
        entropy,
        attending: None,
        silence: None,
    }
}
