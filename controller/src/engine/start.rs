//! Puts the engine together and sets it going. The only place in the engine that spawns.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::limits::Limits;
use fulcrum_core::store::Store;
use fulcrum_core::time::Millis;
use tokio::sync::mpsc;

use super::catalog::{Catalog, Source};
use super::dispatch::claimer::Claimer;
use super::dispatch::hall::Hall;
use super::handle::Engine;
use super::lane::{Lane, LaneOptions};
use super::loops::{Deliver, Fire, Reap, Refresh};
use super::mailroom::Mailroom;
use super::reaper::{Reaper, Reassertion};
use super::router::Router;
use super::timers::Timers;
use super::watch::WatchHub;
use crate::clock::DatabaseClock;
use crate::config::{LanesConfig, LeaseConfig, LoopsConfig};
use crate::entropy::Entropy;
use crate::loops::{Board, Pace, drive};
use crate::shutdown::{Stage, Tasks};

/// Plans kept in memory.
const PLANS_MAX: usize = 1_024;
/// Rows that one sweep of a loop takes.
const SWEEP_ROWS_MAX: u32 = 256;
/// Races that one command may lose before it is refused.
const CONFLICTS_MAX: u8 = 20;
/// Memory that all lanes together have for parsed payloads, beside some large ones.
const VALUES_BYTES_MAX: usize = 16 * 1024 * 1024;
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
    let lease = &options.lease;
    let reassertion = Reassertion::new(
        Duration::from_millis(lease.reassert_ms),
        Duration::from_millis(lease.ttl_ms.saturating_sub(lease.heartbeat_ms)),
    );
    let lane_options = LaneOptions {
        batch_commands_max: options.lanes.flush_commands_max as usize,
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
            hub.clone(),
            hall.clone(),
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
        Duration::from_millis(options.loops.tick_ms),
    );
    tasks.spawn(
        Stage::Polls,
        "claimer",
        claimer.run(tasks.begins(Stage::Polls)),
    );

    let pace = |ms: u64| Pace {
        entropy: options.entropy.clone(),
        ..Pace::every(Duration::from_millis(ms))
    };
    let loops = &options.loops;
    let stop = || tasks.begins(Stage::Loops);
    let reaper = Reaper::new(
        Arc::clone(&store),
        router.clone(),
        Arc::clone(&clock),
        reassertion,
        SWEEP_ROWS_MAX,
    );
    tasks.spawn(
        Stage::Loops,
        "reaper",
        drive(
            Reap(reaper),
            pace(loops.reaper_ms),
            Arc::clone(board),
            stop(),
        ),
    );
    let timers = Timers::new(Arc::clone(&store), router.clone(), SWEEP_ROWS_MAX);
    tasks.spawn(
        Stage::Loops,
        "timers",
        drive(
            Fire(timers),
            pace(loops.timers_ms),
            Arc::clone(board),
            stop(),
        ),
    );
    let mail = Mailroom::new(
        Arc::clone(&store),
        router.clone(),
        Millis(loops.mail_ms),
        SWEEP_ROWS_MAX,
    );
    tasks.spawn(
        Stage::Loops,
        "mail",
        drive(
            Deliver(mail),
            pace(loops.mail_ms),
            Arc::clone(board),
            stop(),
        ),
    );
    let refresh = Refresh {
        store: Arc::clone(&store),
        catalog: Arc::clone(&catalog),
        hub: hub.clone(),
    };
    tasks.spawn(
        Stage::Loops,
        "refresh",
        drive(refresh, pace(loops.tick_ms), Arc::clone(board), stop()),
    );

    Arc::new(Engine {
        store,
        catalog,
        router,
        hub,
        clock,
        hall,
        lease,
        limits: options.limits,
        answer_bytes_max: options.answer_bytes_max,
        entropy: options.entropy.clone(),
    })
}
