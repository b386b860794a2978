//! Where lease calls wait, shared by the services that park them, the lanes that hand tasks off and the claimer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fulcrum_core::ids::{NamespaceId, WorkerId};
use fulcrum_core::store::claim::CLAIM_ROWS_MAX;
use fulcrum_core::store::{Beat, ClaimRequest, LineKey};
use fulcrum_core::time::{Millis, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::guest::{Guest, count};
use super::line::{Backlog, Line, Lines};
use super::poll::{Parcel, Poll};
use crate::engine::recent::RecentGrants;

/// Calls parked at once; beyond it a call is shed.
const POLLS_MAX: usize = 8_192;
/// Future instants remembered; beyond it the backstop finds the task.
const INSTANTS_MAX: usize = 4_096;
/// How long a grant that found no call, or no room in its answer, waits for the worker's next call at most.
const UNDELIVERED_MAX: Duration = Duration::from_secs(2);
/// It waits no longer than this part of its lease: what is left must do for the way to the worker and its first
/// heartbeat.
const LEASE_PARTS: u32 = 5;

/// Slots of a worker that a look for what other controllers made holds back from hand-offs.
const PROBE_SLOTS: u32 = 4;

/// The claimer looks at calls that wait no longer than this as soon as they come; at others when it wakes.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// Why a call was not parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// As many calls are parked as may be.
    Full,
    /// The controller is shutting down.
    Closed,
}

/// The parked calls. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hall {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Bytes of inputs in one answer.
    input_bytes_max: u64,
    /// How long a grant waits for a call.
    undelivered_max: Duration,
    /// Rung when a claim may have something to do.
    bell: Notify,
    state: Mutex<State>,
    recent: RecentGrants,
    numbers: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    guests: BTreeMap<WorkerId, Guest>,
    lines: Lines,
    /// Tasks that will be ready: when, and in which namespace.
    instants: BTreeSet<(Timestamp, NamespaceId)>,
    polls: usize,
    closed: bool,
}

/// A claim about to be made.
#[derive(Debug)]
pub struct Claim {
    /// Who wants what.
    pub requests: Vec<ClaimRequest>,
    marks: BTreeMap<(NamespaceId, String), u64>,
}

/// Which workers a claim asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Those that wait in a line where something is pending.
    Pending,
    /// All, with a few of their slots: what other controllers made is in no line of ours.
    Everywhere,
}

impl Hall {
    /// An empty hall for grants with leases of `lease`, whose answers have room for `answer_bytes_max`. Inputs may fill
    /// three quarters of it: the first grant of a task has no journal, and a batch of them never needs more.
    #[must_use]
    pub fn new(lease: Millis, answer_bytes_max: u64) -> Self {
        let lease = Duration::from_millis(lease.0);
        Self {
            inner: Arc::new(Inner {
                input_bytes_max: answer_bytes_max / 4 * 3,
                undelivered_max: UNDELIVERED_MAX.min(lease / LEASE_PARTS),
                bell: Notify::new(),
                state: Mutex::default(),
                recent: RecentGrants::default(),
                numbers: AtomicU64::default(),
            }),
        }
    }

    /// Parks a call, or answers it at once with grants that wait for its worker.
    pub fn park(&self, poll: Poll) -> Result<(), Turned> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.closed {
            return Err(Turned::Closed);
        }
        if state.polls >= POLLS_MAX {
            return Err(Turned::Full);
        }
        let (worker, namespace) = (poll.wish.worker, poll.wish.namespace);
        let mut ring = poll.wish.deadline < Instant::now() + SHORT_WAIT;
        for capability in &poll.wish.capabilities {
            let line = state.lines.entry(namespace, capability);
            line.wait(worker);
            ring |= line.is_pending();
        }
        let guest = state.guests.entry(worker).or_default();
        guest.call(poll);
        state.polls = state.polls + 1 - self.inner.serve(guest);
        if ring {
            self.inner.bell.notify_one();
        }
        Ok(())
    }

    /// A lease call is over, answered or not: its slots are offered again by the worker's next one. What it was sent and
    /// did not take along waits for that.
    pub(super) fn leave_seat(&self, worker: WorkerId, left: Vec<Parcel>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(guest) = state.guests.get_mut(&worker) else {
            return;
        };
        let gone = guest.drop_gone();
        left.into_iter().for_each(|parcel| guest.keep(parcel));
        state.polls = state.polls.saturating_sub(gone + self.inner.serve(guest));
    }

    /// A name for a report's place.
    pub(super) fn number(&self) -> u64 {
        self.inner.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A call whose reports are in leaves with what there is for its worker.
    pub(super) fn leave_with(&self, worker: WorkerId, number: u64) -> Vec<Parcel> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(guest) = state.guests.get_mut(&worker) else {
            return Vec::new();
        };
        let Some(poll) = guest.stand_up(number) else {
            return Vec::new();
        };
        state.polls = state.polls.saturating_sub(1);
        for capability in &poll.wish.capabilities {
            state
                .lines
                .entry(poll.wish.namespace, capability)
                .wait(worker);
        }
        let parcels = guest.fetch(poll.wish.slots, self.inner.input_bytes_max);
        guest.lend(poll.wish.slots.saturating_sub(count(&parcels)));
        self.inner
            .recent
            .remember(worker, &poll.wish.call_id, &parcels);
        parcels
    }

    /// The same without taking anything along; nothing if it left before.
    pub(super) fn leave_without(&self, worker: WorkerId, number: u64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(guest) = state.guests.get_mut(&worker)
            && let Some(poll) = guest.stand_up(number)
        {
            state.polls = state.polls.saturating_sub(1);
            guest.lend(poll.wish.slots);
        }
    }

    /// Takes a free slot for a task that a commit is about to make. `None` if there is none to spare: as many stay free
    /// as there are older tasks that wait for a claim.
    /// What was taken is used by [`Hall::hand`] or put back by [`Hall::put_back`].
    #[must_use]
    pub fn take(&self, namespace: NamespaceId, capability: &str) -> Option<WorkerId> {
        let mut guard = self.lock();
        let State {
            guests,
            lines,
            closed,
            ..
        } = &mut *guard;
        let line = lines.get_mut(namespace, capability)?;
        if *closed {
            return None;
        }
        let now = Instant::now();
        if !has_free(guests, line, line.reserved()?, now) {
            return None;
        }
        while let Some(worker) = line.waiting.pop_front() {
            if let Some(guest) = guests.get_mut(&worker)
                && guest.free(now) > 0
            {
                guest.taken += 1;
                // Behind the others: workers take turns.
                line.waiting.push_back(worker);
                return Some(worker);
            }
        }
        None
    }

    /// A commit that had taken this slot did not go through.
    pub fn put_back(&self, worker: WorkerId) {
        if let Some(guest) = self.lock().guests.get_mut(&worker) {
            guest.put_back(1);
        }
    }

    /// Hands over what a commit leased to slots that it had taken.
    pub fn hand(&self, parcels: Vec<Parcel>) {
        if parcels.is_empty() {
            return;
        }
        let mut guard = self.lock();
        let workers: BTreeSet<WorkerId> = parcels.iter().map(|p| p.task.worker).collect();
        for parcel in &parcels {
            if let Some(guest) = guard.guests.get_mut(&parcel.task.worker) {
                guest.put_back(1);
            }
        }
        guard.deliver(parcels);
        guard.serve(&workers, &self.inner);
    }

    /// A task is, or will be, ready in a line and was not handed off.
    pub fn leave(&self, namespace: NamespaceId, capability: &str) {
        if let Some(line) = self.lock().lines.get_mut(namespace, capability) {
            line.leave();
            self.inner.bell.notify_one();
        }
    }

    /// A task of this namespace will be ready at `at`.
    pub fn expect(&self, namespace: NamespaceId, at: Timestamp) {
        let mut state = self.lock();
        if state.instants.len() < INSTANTS_MAX {
            state.instants.insert((at, namespace));
        }
        drop(state);
        self.inner.bell.notify_one();
    }

    /// Lines in which workers wait with a call, at most `most` of them.
    #[must_use]
    pub fn lines(&self, most: usize) -> Vec<LineKey> {
        let state = self.lock();
        let calls = state
            .guests
            .values()
            .filter_map(|guest| guest.polls.front());
        let wanted = calls.flat_map(|poll| {
            let key = |capability: &String| (poll.wish.namespace, capability.clone());
            poll.wish.capabilities.iter().map(key)
        });
        let lines: BTreeSet<(NamespaceId, String)> = wanted.collect();
        let key = |(namespace, capability)| LineKey {
            namespace,
            capability,
        };
        lines.into_iter().take(most).map(key).collect()
    }

    /// Tasks are ready in these lines, whoever made them.
    pub fn look(&self, ready: &[LineKey]) {
        let mut state = self.lock();
        let mut ring = false;
        for line in ready {
            if let Some(line) = state.lines.get_mut(line.namespace, &line.capability) {
                line.suspect();
                ring = true;
            }
        }
        drop(state);
        if ring {
            self.inner.bell.notify_one();
        }
    }

    /// The grants of this very call that still hold; `None` if the call is new.
    #[must_use]
    pub fn repeated(&self, worker: WorkerId, call_id: &str, now: Timestamp) -> Option<Vec<Parcel>> {
        self.inner.recent.repeated(worker, call_id, now)
    }

    /// Waits until a claim may have something to do.
    pub(super) async fn rung(&self) {
        self.inner.bell.notified().await;
    }

    /// Tasks whose instant has come go into their lines. Gives the next instant.
    pub(super) fn turn_due(&self, now: Timestamp) -> Option<Timestamp> {
        let mut guard = self.lock();
        let state = &mut *guard;
        while let Some((at, namespace)) = state.instants.first().copied() {
            if at > now {
                return Some(at);
            }
            state.instants.pop_first();
            state.lines.of_namespace(namespace).for_each(Line::doubt);
        }
        None
    }

    /// The claim that is to be made now, if any. Its slots are taken until [`Hall::claimed`].
    pub(super) fn claim(&self, look: Look) -> Option<Claim> {
        let mut guard = self.lock();
        let State { guests, lines, .. } = &mut *guard;
        let mut claim = Claim {
            requests: Vec::new(),
            marks: BTreeMap::new(),
        };
        let now = Instant::now();
        for (worker, guest) in guests.iter_mut() {
            let Some(poll) = guest.polls.front() else {
                continue;
            };
            let served = poll.wish.capabilities.iter();
            let served: Vec<&Line> = served
                .filter_map(|capability| lines.get(poll.wish.namespace, capability))
                .collect();
            let free = guest.free(now);
            let slots = match backlog(&served) {
                Backlog::Unknown => free,
                // One to spare shows that this was all. The others are for hand-offs.
                Backlog::Tasks(n) if n > 0 => free.min(n.saturating_add(1)),
                Backlog::Tasks(_) if look == Look::Everywhere => free.min(PROBE_SLOTS),
                Backlog::Tasks(_) => 0,
            };
            if slots == 0 {
                continue;
            }
            for capability in &poll.wish.capabilities {
                if let Some(line) = lines.get_mut(poll.wish.namespace, capability) {
                    let key = (poll.wish.namespace, capability.clone());
                    claim.marks.insert(key, line.begin());
                }
            }
            claim.requests.push(ClaimRequest {
                worker: *worker,
                namespace: poll.wish.namespace,
                capabilities: poll.wish.capabilities.clone(),
                slots,
            });
            guest.taken += slots;
        }
        (!claim.requests.is_empty()).then_some(claim)
    }

    /// What a claim was granted; nothing if it failed, and then no line is called empty.
    pub(super) fn claimed(&self, claim: &Claim, granted: Option<Vec<Parcel>>) {
        let mut guard = self.lock();
        let State { guests, lines, .. } = &mut *guard;
        for request in &claim.requests {
            if let Some(guest) = guests.get_mut(&request.worker) {
                guest.put_back(request.slots);
            }
            // Whoever looked for a slot meanwhile found none and struck the worker off.
            for capability in &request.capabilities {
                lines
                    .entry(request.namespace, capability)
                    .wait(request.worker);
            }
        }
        for (namespace, capability) in claim.marks.keys() {
            if let Some(line) = lines.get_mut(*namespace, capability) {
                line.over();
            }
        }
        let Some(granted) = granted else { return };
        let mut per_worker: BTreeMap<WorkerId, u32> = BTreeMap::new();
        let mut per_line: BTreeMap<(NamespaceId, &str), i64> = BTreeMap::new();
        for parcel in &granted {
            let task = &parcel.task;
            *per_worker.entry(task.worker).or_default() += 1;
            *per_line
                .entry((task.namespace, &task.capability))
                .or_default() += 1;
        }
        for request in &claim.requests {
            let full =
                per_worker.get(&request.worker).copied().unwrap_or_default() >= request.slots;
            for capability in &request.capabilities {
                let taken = per_line.get(&(request.namespace, capability.as_str()));
                let key = (request.namespace, capability.clone());
                let Some(line) = guard.lines.get_mut(request.namespace, capability) else {
                    continue;
                };
                if full {
                    line.goes_on();
                } else if taken.copied().unwrap_or_default() < CLAIM_ROWS_MAX
                    && let Some(mark) = claim.marks.get(&key)
                {
                    // With slots to spare, it would have taken more.
                    line.ends(*mark);
                }
            }
        }
        let workers = per_worker.into_keys().collect();
        guard.deliver(granted);
        guard.serve(&workers, &self.inner);
        // A line that is still not empty wants the next claim, if slots are left.
        self.inner.bell.notify_one();
    }

    /// Answers calls whose time is over and forgets those that have gone. Gives the next deadline, and the grants that
    /// nobody has fetched in time.
    pub(super) fn sweep(&self, now: Instant) -> (Option<Instant>, Vec<Beat>) {
        let mut guard = self.lock();
        let mut next: Option<Instant> = None;
        let mut stale = Vec::new();
        let mut polls = 0;
        guard.guests.retain(|_, guest| {
            let due = |at| next = Some(next.map_or(at, |next| next.min(at)));
            guest.sweep(now, self.inner.undelivered_max, due, &mut stale);
            polls += guest.polls.len();
            !guest.is_idle(now)
        });
        guard.polls = polls;
        (next, stale)
    }

    /// Ends all waiting: parked calls are answered empty, so that workers go elsewhere at once, and no more are taken.
    /// Gives the grants that nobody has fetched.
    pub(super) fn close(&self) -> Vec<Beat> {
        let mut state = self.lock();
        state.closed = true;
        state.guests.values_mut().flat_map(Guest::close).collect()
    }

    /// Every line may have a backlog: what was known is not known any more.
    pub(super) fn doubt(&self) {
        self.lock().lines.all().for_each(Line::doubt);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each critical section leaves valid maps behind; at worst a slot stays taken until its call ends.
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Answers calls of this worker; tells how many are gone from the hall.
    fn serve(&self, guest: &mut Guest) -> usize {
        guest.serve(&self.recent, self.input_bytes_max)
    }
}

impl State {
    fn deliver(&mut self, parcels: Vec<Parcel>) {
        for parcel in parcels {
            let guest = self.guests.entry(parcel.task.worker).or_default();
            guest.keep(parcel);
        }
    }

    fn serve(&mut self, workers: &BTreeSet<WorkerId>, inner: &Inner) {
        for worker in workers {
            if let Some(guest) = self.guests.get_mut(worker) {
                self.polls = self.polls.saturating_sub(inner.serve(guest));
            }
        }
    }
}

/// Have the workers in this line more free slots than are reserved?
fn has_free(guests: &BTreeMap<WorkerId, Guest>, line: &Line, reserved: u32, now: Instant) -> bool {
    let mut needed = reserved;
    // Without a reservation the taking itself will tell.
    needed == 0
        || line.waiting.iter().any(|worker| {
            let free = guests.get(worker).map_or(0, |guest| guest.free(now));
            let enough = free > needed;
            needed = needed.saturating_sub(free);
            enough
        })
}

/// What waits in the lines that one worker serves.
fn backlog(lines: &[&Line]) -> Backlog {
    lines
        .iter()
        .fold(Backlog::Tasks(0), |sum, line| sum.and(line.backlog()))
}

#[cfg(test)]
mod tests;
