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
    /// Remembers what a call was granted, beside what it was granted before if it is repeated: the answer that its
    /// caller has may be any of them. A call without an id cannot be repeated.
    pub fn remember(&self, worker: WorkerId, call_id: &str, granted: &[Parcel]) {
        let Some(newest) = granted.iter().map(|parcel| parcel.task.granted_at).max() else {
            return;
        };
        if call_id.is_empty() {
            return;
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() >= WORKERS_MAX && !calls.contains_key(&worker) {
            calls.clear();
        }
        let of_worker = calls.entry(worker).or_default();
        let before = of_worker.iter().position(|call| call.id == call_id);
        let mut call = before
            .and_then(|place| of_worker.remove(place))
            .unwrap_or_else(|| Call {
                id: call_id.to_owned(),
                granted: Vec::new(),
            });
        call.granted.retain(|task| task.deadline > newest);
        call.granted
            .extend(granted.iter().map(|parcel| parcel.task.clone()));
        of_worker.truncate(CALLS_PER_WORKER_MAX - 1);
        of_worker.push_front(call);
    }

    /// The answer never left: these grants go to another call.
    pub fn forget(&self, worker: WorkerId, call_id: &str, grants: &[Parcel]) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(of_worker) = calls.get_mut(&worker) else {
            return;
        };
        let mut of_this = of_worker.iter_mut().filter(|call| call.id == call_id);
        if let Some(call) = of_this.next() {
            let goes = |task: &GrantedTask| grants.iter().any(|p| p.task.lease == task.lease);
            call.granted.retain(|task| !goes(task));
        }
        of_worker.retain(|call| !call.granted.is_empty());
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
