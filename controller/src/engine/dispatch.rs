//! Parked polls and the one claimer of this controller.
//!
//! Workers park lease calls here. Whenever a commit makes a task ready, or a poll arrives, or the backstop period
//! passes, the free slots of all parked polls go into a single claim. One claim is in flight at a time: what
//! happens meanwhile is served by the next. Grants whose caller has gone are kept for the same worker's next call.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulcrum_core::ids::{NamespaceId, WorkerId};
use fulcrum_core::store::{ClaimRequest, GrantedTask, Store};
use fulcrum_core::time::{Millis, Timestamp};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::DatabaseClock;

/// Instants remembered by a [`Waker`]; beyond it the backstop finds the task.
const READY_INSTANTS_MAX: usize = 4_096;

/// Tells the dispatcher that a task is, or will be, ready. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Waker {
    inner: Arc<WakerInner>,
}

#[derive(Debug, Default)]
struct WakerInner {
    notify: Notify,
    ready: Mutex<BTreeSet<Timestamp>>,
}

impl Waker {
    /// A task is ready from `at` on.
    pub fn ready(&self, at: Timestamp) {
        {
            let mut ready = self.lock();
            if ready.len() < READY_INSTANTS_MAX {
                ready.insert(at);
            }
        }
        self.inner.notify.notify_one();
    }

    /// Forgets instants up to `now` and tells whether there were any, and the next one.
    fn take_due(&self, now: Timestamp) -> (bool, Option<Timestamp>) {
        let mut ready = self.lock();
        let later = ready.split_off(&Timestamp(now.0.saturating_add(1)));
        let due = !ready.is_empty();
        *ready = later;
        (due, ready.first().copied())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<Timestamp>> {
        // Each critical section leaves a valid set behind.
        self.inner
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of inputs in one answer; the message must have room for journals, too. What is over is kept for the worker's
/// next call.
const ANSWER_INPUT_BYTES_MAX: u64 = 6 << 20;

/// How many of these tasks fit into one answer. The first always does.
fn fitting<'t>(tasks: impl Iterator<Item = &'t GrantedTask>, slots: u32) -> usize {
    let mut room = Some(ANSWER_INPUT_BYTES_MAX);
    let fits = |(n, task): &(usize, &GrantedTask)| {
        room = room.and_then(|room| room.checked_sub(u64::from(task.input.bytes)));
        *n == 0 || room.is_some()
    };
    tasks
        .take(slots as usize)
        .enumerate()
        .take_while(fits)
        .count()
}

/// A parked lease call.
#[derive(Debug)]
pub struct Poll {
    /// Who asks, from the certificate.
    pub worker: WorkerId,
    /// In which namespace.
    pub namespace: NamespaceId,
    /// Capabilities offered and granted.
    pub capabilities: Vec<String>,
    /// Free slots.
    pub slots: u32,
    /// Answered empty at this instant.
    pub deadline: Instant,
    /// The answer.
    pub reply: oneshot::Sender<Vec<GrantedTask>>,
}

/// The claimer.
#[derive(Debug)]
pub struct Dispatcher<S> {
    store: Arc<S>,
    clock: Arc<DatabaseClock>,
    waker: Waker,
    lease: Millis,
    backstop: Duration,
    polls: VecDeque<Poll>,
    undelivered: BTreeMap<WorkerId, Vec<GrantedTask>>,
}

impl<S: Store> Dispatcher<S> {
    /// A dispatcher that grants leases of `lease` and looks at the database at least every `backstop`.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        clock: Arc<DatabaseClock>,
        waker: Waker,
        lease: Millis,
        backstop: Duration,
    ) -> Self {
        Self {
            store,
            clock,
            waker,
            lease,
            backstop,
            polls: VecDeque::new(),
            undelivered: BTreeMap::new(),
        }
    }

    /// Serves polls until `stop`; then every parked call is answered empty, so that workers go elsewhere at once.
    pub async fn run(mut self, mut arrivals: mpsc::Receiver<Poll>, stop: CancellationToken) {
        let mut next_backstop = Instant::now() + self.backstop;
        let mut pause_until: Option<Instant> = None;
        loop {
            let (due, next_ready) = self.waker.take_due(self.clock.now());
            let mut claim = due;
            let wake_at = self.wake_at(next_backstop, next_ready);
            if !claim {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    poll = arrivals.recv() => match poll {
                        Some(poll) => { self.park(poll); claim = true; }
                        None => break,
                    },
                    () = self.waker.inner.notify.notified() => {}
                    () = tokio::time::sleep_until(wake_at) => {}
                }
            }
            while let Ok(poll) = arrivals.try_recv() {
                self.park(poll);
                claim = true;
            }
            let now = Instant::now();
            if now >= next_backstop {
                claim = true;
                next_backstop = now + self.backstop;
            }
            self.expire(now);
            if claim && !self.polls.is_empty() && pause_until.is_none_or(|until| now >= until) {
                pause_until = None;
                if let Err(error) = self.claim().await {
                    tracing::warn!(%error, "claim failed; polls stay parked");
                    pause_until = Some(Instant::now() + Duration::from_millis(200));
                    next_backstop = Instant::now() + Duration::from_millis(250);
                }
            }
            if stop.is_cancelled() {
                break;
            }
        }
        arrivals.close();
        while let Ok(poll) = arrivals.try_recv() {
            self.polls.push_back(poll);
        }
        for poll in self.polls {
            let _gone = poll.reply.send(Vec::new());
        }
    }

    fn wake_at(&self, next_backstop: Instant, next_ready: Option<Timestamp>) -> Instant {
        let now = Instant::now();
        let ready =
            next_ready.map(|at| now + Duration::from_millis(at.since(self.clock.now()).0 + 1));
        let deadline = self.polls.iter().map(|poll| poll.deadline).min();
        [Some(next_backstop), ready, deadline]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(next_backstop)
    }

    fn park(&mut self, poll: Poll) {
        match self.undelivered.remove(&poll.worker) {
            Some(mut tasks) => {
                let now = self.clock.now();
                tasks.retain(|task| task.deadline > now);
                let keep = tasks.split_off(fitting(tasks.iter(), poll.slots));
                let worker = poll.worker;
                if tasks.is_empty() {
                    self.polls.push_back(poll);
                } else if let Err(mut tasks) = poll.reply.send(tasks) {
                    tasks.extend(keep);
                    self.undelivered.insert(worker, tasks);
                    return;
                }
                if !keep.is_empty() {
                    self.undelivered.insert(worker, keep);
                }
            }
            None => self.polls.push_back(poll),
        }
    }

    fn expire(&mut self, now: Instant) {
        let mut parked = VecDeque::with_capacity(self.polls.len());
        for poll in self.polls.drain(..) {
            if poll.reply.is_closed() {
                continue;
            }
            if poll.deadline <= now {
                let _gone = poll.reply.send(Vec::new());
            } else {
                parked.push_back(poll);
            }
        }
        self.polls = parked;
    }

    async fn claim(&mut self) -> Result<(), fulcrum_core::store::StoreError> {
        let requests: Vec<ClaimRequest> = self
            .polls
            .iter()
            .map(|poll| ClaimRequest {
                worker: poll.worker,
                namespace: poll.namespace,
                capabilities: poll.capabilities.clone(),
                slots: poll.slots,
            })
            .collect();
        let mut granted: BTreeMap<WorkerId, VecDeque<GrantedTask>> = BTreeMap::new();
        for task in self.store.claim(&requests, self.lease).await? {
            granted.entry(task.worker).or_default().push_back(task);
        }
        let mut parked = VecDeque::with_capacity(self.polls.len());
        for poll in self.polls.drain(..) {
            let tasks: Vec<GrantedTask> = match granted.get_mut(&poll.worker) {
                Some(queue) => queue.drain(..fitting(queue.iter(), poll.slots)).collect(),
                None => Vec::new(),
            };
            if tasks.is_empty() {
                parked.push_back(poll);
            } else if let Err(tasks) = poll.reply.send(tasks) {
                self.undelivered
                    .entry(poll.worker)
                    .or_default()
                    .extend(tasks);
            }
        }
        self.polls = parked;
        for (worker, rest) in granted {
            if !rest.is_empty() {
                self.undelivered.entry(worker).or_default().extend(rest);
            }
        }
        Ok(())
    }
}
