//! Runs that a lane holds in memory. The database stays the truth: a commit checks the version, a loser reloads.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fulcrum_core::definition::plan::Plan;
use fulcrum_core::ids::{PayloadId, RunId};
use fulcrum_core::run::Run;
use fulcrum_core::store::{RunHead, SnapshotMark};

/// A run as of its last known commit.
#[derive(Debug, Clone)]
pub struct CachedRun {
    /// The fold.
    pub run: Arc<Run>,
    /// The row.
    pub head: RunHead,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// Its newest snapshot.
    pub snapshot: SnapshotMark,
    /// Its input and the payloads that its last commit made. Their values are with the lane, while they are.
    pub payloads: BTreeSet<PayloadId>,
}

/// A bounded map of runs, evicted in order of last use.
#[derive(Debug)]
pub struct RunCache {
    runs: HashMap<RunId, (u64, CachedRun)>,
    order: BTreeMap<u64, RunId>,
    clock: u64,
    runs_max: usize,
}

impl RunCache {
    /// A cache for at most `runs_max` runs.
    #[must_use]
    pub fn new(runs_max: usize) -> Self {
        Self {
            runs: HashMap::new(),
            order: BTreeMap::new(),
            clock: 0,
            runs_max,
        }
    }

    /// Takes a run out; it comes back by [`RunCache::put`] when its commit went through.
    pub fn take(&mut self, run: RunId) -> Option<CachedRun> {
        let (stamp, cached) = self.runs.remove(&run)?;
        self.order.remove(&stamp);
        Some(cached)
    }

    /// Is this run held?
    #[must_use]
    pub fn contains(&self, run: RunId) -> bool {
        self.runs.contains_key(&run)
    }

    /// Puts a run in and evicts the least recently used beyond the bound.
    pub fn put(&mut self, id: RunId, cached: CachedRun) {
        self.clock += 1;
        if let Some((stamp, _)) = self.runs.insert(id, (self.clock, cached)) {
            self.order.remove(&stamp);
        }
        self.order.insert(self.clock, id);
        while self.runs.len() > self.runs_max {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            self.runs.remove(&oldest);
        }
    }

    /// Runs held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Is nothing held?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}
