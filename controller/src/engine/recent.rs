//! What each worker was granted last, so that a lease call whose answer was lost gets the same grants again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use fulcrum_core::ids::WorkerId;
use fulcrum_core::store::GrantedTask;
use fulcrum_core::time::Timestamp;

use super::dispatch::poll::Parcel;

/// Workers remembered; beyond it everything is forgotten, and a lost answer costs a lease time.
const WORKERS_MAX: usize = 16_384;

/// Calls remembered of each worker: it may have several under way.
const CALLS_PER_WORKER_MAX: usize = 32;

/// The last granted calls of each worker.
#[derive(Debug, Default)]
pub struct RecentGrants {
    calls: Mutex<HashMap<WorkerId, VecDeque<Call>>>,
}

#[derive(Debug)]
struct Call {
    id: String,
    granted: Vec<GrantedTask>,
}

impl RecentGrants {
    /// Remembers what a call was granted. A call without an id cannot be repeated.
    pub fn remember(&self, worker: WorkerId, call_id: &str, granted: &[Parcel]) {
        if call_id.is_empty() || granted.is_empty() {
            return;
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= WORKERS_MAX && !calls.contains_key(&worker) {
            calls.clear();
        }
        let of_worker = calls.entry(worker).or_default();
        of_worker.truncate(CALLS_PER_WORKER_MAX - 1);
        of_worker.push_front(Call {
            id: call_id.to_owned(),
            granted: granted.iter().map(|parcel| parcel.task.clone()).collect(),
        });
    }

    /// The answer never left: its grants go to another call.
    pub fn forget(&self, worker: WorkerId, call_id: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_worker) = calls.get_mut(&worker) {
            of_worker.retain(|call| call.id != call_id);
        }
    }

    /// The grants of this very call that still hold; `None` if the call is new.
    #[must_use]
    pub fn repeated(&self, worker: WorkerId, call_id: &str, now: Timestamp) -> Option<Vec<Parcel>> {
        if call_id.is_empty() {
            return None;
        }
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let call = calls.get(&worker)?.iter().find(|call| call.id == call_id)?;
        let live = call.granted.iter().filter(|task| task.deadline > now);
        let again = |task: &GrantedTask| Parcel {
            task: task.clone(),
            input: None,
        };
        Some(live.map(again).collect())
    }
}
