//! Puts the engine together and sets it going. The only place in the engine that spawns.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::limits::Limits;
use fulcrum_core::store::{Attendance, Revisions, Store};
use fulcrum_core::time::Millis;
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use super::agenda::{Agenda, Bells};
use super::catalog::{Catalog, Source};
use super::dispatch::claimer::Claimer;
use super::dispatch::hall::Hall;
use super::handle::Engine;
use super::herald::Herald;
use super::lane::{Lane, LaneOptions};
use super::loops::{Prompted, Refresh, Standing, Sweeping};
use super::mailroom::Mailroom;
use super::reaper::{Reaper, Reassertion};
use super::router::Router;
use super::tick::{Last, Tick, Tidings};
use super::timers::Timers;
use super::watch::WatchHub;
use crate::clock::{self, DatabaseClock};
use crate::config::{LanesConfig, LeaseConfig, LoopsConfig};
use crate::entropy::Entropy;
use crate::loops::{Board, Loop, Pace, drive};
use crate::shutdown::{Stage, Tasks};

/// Plans kept in memory.
const PLANS_MAX: usize = 1_024;
/// Rows that one sweep of a loop takes.
const SWEEP_ROWS_MAX: u32 = 256;
/// Races that one command may lose before it is refused.
const CONFLICTS_MAX: u8 = 20;
/// Memory that all lanes together have for parsed payloads, beside some large ones.
const VALUES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Internal follow-ups that a lane keeps in memory.
const BACKLOG_ITEMS_MAX: usize = 8_192;

/// Sizes and periods of the engine.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Lanes.
    pub lanes: LanesConfig,
    /// Leases.
    pub lease: LeaseConfig,
    /// Loops.
    pub loops: LoopsConfig,
    /// Limits handed to the core.
    pub limits: Limits,
    /// Bytes of one answer to a worker.
    pub answer_bytes_max: u64,
    /// Where ids, jitter and the core's entropy come from.
    pub entropy: Entropy,
    /// This controller, if it signed in: its ticks keep it on the list.
    pub attending: Option<Uuid>,
    /// How long before it another controller was heard of, if one was.
    pub silence: Option<Millis>,
}

/// Starts lanes, dispatcher and loops over a store. They end with `tasks`.
#[must_use]
pub fn start<S: Store, C: Source>(
    store: Arc<S>,
    source: C,
    clock: Arc<DatabaseClock>,
    options: &EngineOptions,
    tasks: &Tasks,
    board: &Arc<Board>,
) -> Arc<Engine<S, C>> {
    let catalog = Arc::new(Catalog::new(source, PLANS_MAX));
    let hub = WatchHub::default();
    let hall = Hall::new(Millis(options.lease.ttl_ms), options.answer_bytes_max);
    let bells = Bells::default();
    let herald = Herald::new(bells.clone(), hub.clone());
    let lease = &options.lease;
    let reassertion = Reassertion::new(
        Duration::from_millis(lease.reassert_ms),
        Duration::from_millis(lease.ttl_ms.saturating_sub(lease.heartbeat_ms)),
        options
            .silence
            .map(|silence| Duration::from_millis(silence.0)),
    );
    let lane_options = LaneOptions {
        batch_commands_max: options.lanes.flush_commands_max as usize,
        beside_runs_min: options.lanes.flush_beside_runs_min as usize,
        cached_runs_max: (options.lanes.cached_runs_max / options.lanes.count.max(1)) as usize,
        values_bytes_max: VALUES_BYTES_MAX / options.lanes.count.max(1) as usize,
        snapshot_every_events: u64::from(options.lanes.snapshot_every_events),
        backlog_items_max: BACKLOG_ITEMS_MAX,
        conflicts_max: CONFLICTS_MAX,
        limits: options.limits,
        lease: Millis(options.lease.ttl_ms),
        entropy: options.entropy.clone(),
    };
    let lanes = (0..options.lanes.count.max(1)).map(|_| {
        let (sender, queue) = mpsc::channel(options.lanes.queue_max as usize);
        let lane = Lane::new(
            Arc::clone(&store),
            Arc::clone(&catalog),
            Arc::clone(&clock),
            hall.clone(),
            herald.clone(),
            reassertion.clone(),
            lane_options.clone(),
        );
        tasks.spawn(
            Stage::Lanes,
            "lane",
            lane.run(queue, tasks.begins(Stage::Lanes)),
        );
        sender
    });
    let router = Router::new(lanes.collect());
    let lease = Millis(options.lease.ttl_ms);
    let claimer = Claimer::new(
        Arc::clone(&store),
        Arc::clone(&clock),
        hall.clone(),
        lease,
        Duration::from_millis(options.loops.sweep_ms),
    );
    tasks.spawn(
        Stage::Polls,
        "claimer",
        claimer.run(tasks.begins(Stage::Polls)),
    );

    let backstop = Duration::from_millis(options.loops.sweep_ms);
    let keep = Keep {
        options,
        tasks,
        board,
    };
    let now = clock::monotonic();
    let (tidings, told) = watch::channel(Tidings {
        asked_at: now,
        revisions: Revisions::default(),
        others: 0,
        attendance: Attendance::default(),
    });
    let refresh = Arc::<Notify>::default();
    let tick = Tick {
        store: Arc::clone(&store),
        clock: Arc::clone(&clock),
        reassertion: reassertion.clone(),
        bells: bells.clone(),
        hall: hall.clone(),
        hub: hub.clone(),
        refresh: Arc::clone(&refresh),
        tidings,
        period: Duration::from_millis(options.loops.tick_ms),
        mail_age: Millis(options.loops.mail_age_ms),
        attending: options.attending,
        entropy: options.entropy.clone(),
        last: Last::default(),
    };
    let relaxed = Tick::<S>::relaxed(tick.period);
    keep.running(tick, relaxed, Arc::clone(&bells.tick));
    let prompted = Sweeps {
        clock: &clock,
        bells: &bells,
        backstop,
    };
    let reaper = Reaper::new(
        Arc::clone(&store),
        router.clone(),
        Arc::clone(&clock),
        reassertion,
        SWEEP_ROWS_MAX,
    );
    keep.sweeping(prompted.by(reaper, &bells.reaper));
    let timers = Timers::new(Arc::clone(&store), router.clone(), SWEEP_ROWS_MAX);
    keep.sweeping(prompted.by(timers, &bells.timers));
    let mail_age = Millis(options.loops.mail_age_ms);
    let mail = Mailroom::new(Arc::clone(&store), router.clone(), mail_age, SWEEP_ROWS_MAX);
    keep.sweeping(prompted.by(mail, &bells.mail));
    let refreshing = Refresh {
        store: Arc::clone(&store),
        catalog: Arc::clone(&catalog),
        hub: hub.clone(),
        tidings: told.clone(),
        backstop,
        read: None,
    };
    keep.running(refreshing, backstop, refresh);

    Arc::new(Engine {
        store,
        catalog,
        router,
        hub,
        clock,
        hall,
        bells,
        herald,
        tidings: told,
        lease,
        limits: options.limits,
        answer_bytes_max: options.answer_bytes_max,
        entropy: options.entropy.clone(),
    })
}

/// Gives sweeps their agendas.
struct Sweeps<'a> {
    clock: &'a Arc<DatabaseClock>,
    bells: &'a Bells,
    backstop: Duration,
}

impl Sweeps<'_> {
    fn by<W: Sweeping>(&self, sweep: W, agenda: &Agenda) -> Prompted<W> {
        Prompted {
            sweep,
            agenda: agenda.clone(),
            clock: Arc::clone(self.clock),
            backstop: self.backstop,
            tick: Arc::clone(&self.bells.tick),
            standing: Standing::default(),
        }
    }
}

/// Spawns loops.
struct Keep<'a> {
    options: &'a EngineOptions,
    tasks: &'a Tasks,
    board: &'a Arc<Board>,
}

impl Keep<'_> {
    fn running<L: Loop + 'static>(&self, subject: L, period: Duration, wake: Arc<Notify>) {
        let pace = Pace {
            period,
            wake,
            entropy: self.options.entropy.clone(),
        };
        let stop = self.tasks.begins(Stage::Loops);
        let running = drive(subject, pace, Arc::clone(self.board), stop);
        self.tasks.spawn(Stage::Loops, L::NAME, running);
    }

    fn sweeping<W: Sweeping + 'static>(&self, sweep: Prompted<W>) {
        let (backstop, wake) = (sweep.backstop, sweep.agenda.wake());
        self.running(sweep, backstop, wake);
    }
}
