//! The stage: the one thing that every part of a world holds.

use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fulcrum_core::ids::WorkerId;
use fulcrum_core::store::reference::ReferenceStore;
use tokio::sync::Notify;

use crate::edge::target::Target;
use crate::oracle::witness::Witness;
use crate::stage::clock::{BIRTH, WorldClock};
use crate::stage::sometimes::{Sometimes, Tally};
use crate::stage::storm::Storm;
use crate::stage::trace::Trace;

/// What a world stands on.
#[derive(Debug)]
pub struct Stage {
    /// The seed.
    pub seed: u64,
    /// The database's clock.
    pub clock: WorldClock,
    /// The weather.
    pub storm: Storm,
    /// What happened.
    pub trace: Trace,
    /// What has struck.
    pub tally: Tally,
    /// The database.
    pub database: ReferenceStore,
    witness: Mutex<Witness>,
    target: Mutex<Target>,
    doomed: Mutex<Vec<WorkerId>>,
    toll: Notify,
}

impl Stage {
    /// An empty world.
    #[must_use]
    pub fn set(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            seed,
            clock: WorldClock::start(),
            storm: Storm::of(seed),
            trace: Trace::default(),
            tally: Tally::default(),
            database: ReferenceStore::new(BIRTH),
            witness: Mutex::default(),
            target: Mutex::default(),
            doomed: Mutex::default(),
            toll: Notify::new(),
        })
    }

    /// Notes what `who` did or met.
    pub fn note(&self, who: impl Display, what: impl Display) {
        self.trace.note(&self.clock, who, what);
    }

    /// Notes something that must not be.
    pub fn problem(&self, what: impl Display) {
        self.trace.problem(&self.clock, what);
    }

    /// It happened.
    pub fn saw(&self, what: Sometimes) {
        self.tally.saw(what);
    }

    /// Who sees every commit.
    pub fn witness(&self) -> MutexGuard<'_, Witness> {
        self.witness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This worker dies now.
    pub fn doom(&self, worker: WorkerId) {
        let mut doomed = self.doomed.lock().unwrap_or_else(PoisonError::into_inner);
        doomed.push(worker);
        self.toll.notify_one();
    }

    /// Waits for workers that are to die.
    pub async fn doomed(&self) -> Vec<WorkerId> {
        self.toll.notified().await;
        std::mem::take(&mut *self.doomed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where effects end up.
    pub fn target(&self) -> MutexGuard<'_, Target> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
