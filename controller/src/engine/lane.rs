//! A lane: one task that decides, commits and acts for the runs whose root hashes to it.
//!
//! While the database commits a batch (a [`flight`]), the lane decides the next one, as its commands come. Commands of
//! runs that are in flight wait until it has landed. So a batch is what came while the one before it was under way; only
//! one that is [full enough](LaneOptions::beside_runs_min) goes off beside it.

mod batch;
mod commit;
mod flight;
mod open;

use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::event::Actor;
use fulcrum_core::limits::Limits;
use fulcrum_core::store::Store;
use fulcrum_core::time::Millis;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::batch::Batch;
use self::flight::{FLIGHTS_MAX, Flight, landed};
use super::backlog::Backlog;
use super::cache::RunCache;
use super::catalog::{Catalog, Source};
use super::dispatch::hall::Hall;
use super::herald::Herald;
use super::item::Item;
use super::reaper::Reassertion;
use super::values::Values;
use super::watch::WatchHub;
use crate::clock::DatabaseClock;
use crate::entropy::Entropy;

/// Sizes of a lane, and what it draws from.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// Commands in one flush.
    pub batch_commands_max: usize,
    /// Runs in a flush that goes off while another is under way. About 64 is the knee: beyond it a commit's fixed cost is
    /// already shared.
    pub beside_runs_min: usize,
    /// Runs kept in memory.
    pub cached_runs_max: usize,
    /// Memory for parsed payloads.
    pub values_bytes_max: usize,
    /// Internal follow-ups (mail) kept in memory; the mail loop finds what does not fit.
    pub backlog_items_max: usize,
    /// A snapshot is due when so many events have come since the last one.
    pub snapshot_every_events: u64,
    /// Decisions of one command that may lose a race before it is refused.
    pub conflicts_max: u8,
    /// Limits handed to the core.
    pub limits: Limits,
    /// How long a lease lasts that is handed off.
    pub lease: Millis,
    /// Where commit ids and the core's entropy come from.
    pub entropy: Entropy,
}

/// A lane over a store.
#[derive(Debug)]
pub struct Lane<S, C> {
    store: Arc<S>,
    catalog: Arc<Catalog<C>>,
    clock: Arc<DatabaseClock>,
    hub: WatchHub,
    hall: Hall,
    herald: Herald,
    reassertion: Reassertion,
    options: LaneOptions,
    cache: RunCache,
    values: Values,
    backlog: Backlog,
    /// Decided, or about to be.
    batch: Batch,
    /// Being committed.
    flights: Vec<Flight>,
}

impl<S: Store, C: Source> Lane<S, C> {
    /// A lane with an empty cache.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        catalog: Arc<Catalog<C>>,
        clock: Arc<DatabaseClock>,
        hall: Hall,
        herald: Herald,
        reassertion: Reassertion,
        options: LaneOptions,
    ) -> Self {
        let cache = RunCache::new(options.cached_runs_max);
        let values = Values::new(options.values_bytes_max);
        let backlog = Backlog::new(options.backlog_items_max);
        Self {
            store,
            catalog,
            clock,
            hub: herald.hub().clone(),
            hall,
            herald,
            reassertion,
            options,
            cache,
            values,
            backlog,
            batch: Batch::default(),
            flights: Vec::new(),
        }
    }

    /// Works until `stop` is cancelled and everything queued by then is answered. Internal follow-ups that are still
    /// in memory at that point are durable as mail and are left to the next controller.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Item>, stop: CancellationToken) {
        let mut queue = Queue {
            items: &mut queue,
            over: false,
        };
        loop {
            // A panic must not end the lane: whoever waited is told to call again, and what was cached is read again.
            let round = AssertUnwindSafe(self.round(&mut queue, &stop));
            match round.catch_unwind().await {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return,
                Err(_) => {
                    tracing::error!("a batch panicked; the lane goes on with an empty cache");
                    self.cache = RunCache::new(self.options.cached_runs_max);
                    self.batch = Batch::default();
                    self.flights.clear();
                }
            }
        }
    }

    /// Decides what has come, commits it if that may be, or waits for something to happen.
    async fn round(&mut self, queue: &mut Queue<'_>, stop: &CancellationToken) -> ControlFlow<()> {
        if stop.is_cancelled() {
            queue.items.close();
            self.backlog.keep_awaited();
        }
        if self.flights.is_empty() && self.batch.is_empty() {
            // Of what was drawn, nothing is left to be committed: it was refused, or held.
            self.batch = Batch::default();
        }
        let most = self.options.batch_commands_max;
        let drawn = &mut self.batch.drawn;
        let items = self.backlog.draw(queue.items, drawn, most);
        if !items.is_empty() {
            self.take_in(items).await;
            if let Some((place, flown)) = landed(&mut self.flights).now_or_never() {
                self.land(place, flown).await;
            }
            return ControlFlow::Continue(());
        }
        if self.may_launch() {
            self.launch().await;
            return ControlFlow::Continue(());
        }
        if self.flights.is_empty() && queue.over {
            return ControlFlow::Break(());
        }
        let has_room = self.backlog.has_room(&self.batch.drawn, most);
        tokio::select! {
            biased;
            (place, flown) = landed(&mut self.flights) => self.land(place, flown).await,
            item = queue.items.recv(), if has_room && !queue.over => match item {
                Some(item) => self.backlog.push(item),
                None => queue.over = true,
            },
            () = stop.cancelled(), if !queue.items.is_closed() => queue.items.close(),
        }
        ControlFlow::Continue(())
    }

    fn may_launch(&self) -> bool {
        match self.flights.len() {
            0 => !self.batch.is_empty(),
            some => {
                some < FLIGHTS_MAX
                    && self.batch.works.len() >= self.options.beside_runs_min
                    && !self.meets_a_family()
            }
        }
    }

    /// Does the batch hold runs of a family that is in flight? They count on the same join: one would wait for the other,
    /// and two small commits cost more than a large one.
    fn meets_a_family(&self) -> bool {
        self.flights
            .iter()
            .filter(|flight| !flight.families.is_empty())
            .any(|flight| {
                let mut works = self.batch.works.values();
                works.any(|work| flight.families.contains(&work.root()))
            })
    }
}

/// What waits in front of a lane.
struct Queue<'q> {
    items: &'q mut mpsc::Receiver<Item>,
    /// Nothing can come any more.
    over: bool,
}

/// Mail as a command to its addressee.
#[must_use]
pub fn deliver(mail: &Mail) -> Command {
    Command {
        run: mail.to,
        actor: Actor::Run(mail.from),
        trace: None,
        kind: CommandKind::Mail {
            id: mail.id,
            body: mail.body.clone(),
        },
    }
}
