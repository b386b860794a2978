//! The machine under its lock, and the ways to those who do what it says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fulcrum_proto::worker::v1::{Task, TaskReport};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::lease::{Action, Grant, Input, LeaseMachine, LeaseToken, PollId, Settings, TaskId};

/// A call for tasks to make.
pub(super) struct Poll {
    pub(super) id: PollId,
    pub(super) slots: u32,
}

/// A granted task and the switches that end it.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) task: Arc<Task>,
    /// Trips when the work is to stop at once.
    pub(super) stop: CancellationToken,
    /// Trips when the work is to wind up.
    pub(super) cancel: CancellationToken,
}

/// Where the desk sends what is to be done. Unbounded in type, bounded by the machine: never more than one
/// entry for each lease and poll it holds.
pub(super) struct Outlets {
    pub(super) polls: mpsc::UnboundedReceiver<Poll>,
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
    pub(super) reports: mpsc::UnboundedReceiver<TaskReport>,
}

pub(super) struct Desk {
    state: Mutex<State>,
    started: Instant,
    polls: mpsc::UnboundedSender<Poll>,
    jobs: mpsc::UnboundedSender<Job>,
    reports: mpsc::UnboundedSender<TaskReport>,
    drained: CancellationToken,
}

struct State {
    machine: LeaseMachine,
    jobs: HashMap<LeaseToken, Job>,
}

impl Desk {
    #[expect(
        clippy::disallowed_methods,
        reason = "the machine is the limit: one entry for each lease and poll it holds"
    )]
    pub(super) fn open(settings: Settings) -> (Arc<Self>, Outlets) {
        let (polls, poll_outlet) = mpsc::unbounded_channel();
        let (jobs, job_outlet) = mpsc::unbounded_channel();
        let (reports, report_outlet) = mpsc::unbounded_channel();
        let desk = Self {
            state: Mutex::new(State {
                machine: LeaseMachine::new(settings),
                jobs: HashMap::new(),
            }),
            started: Instant::now(),
            polls,
            jobs,
            reports,
            drained: CancellationToken::new(),
        };
        let outlets = Outlets {
            polls: poll_outlet,
            jobs: job_outlet,
            reports: report_outlet,
        };
        (Arc::new(desk), outlets)
    }

    /// Trips when a drain is over.
    pub(super) fn drained(&self) -> &CancellationToken {
        &self.drained
    }

    /// Begins to ask for work.
    pub(super) fn begin(&self) {
        self.feed(Input::Tick, Vec::new());
    }

    /// Takes no more work.
    pub(super) fn drain(&self) {
        self.feed(Input::Drain, Vec::new());
    }

    /// Takes in the answer to a poll; no tasks if it was given up.
    pub(super) fn polled(&self, poll: PollId, tasks: Vec<Task>) {
        let grants = grants(&tasks);
        self.feed(Input::PollAnswered { poll, grants }, tasks);
    }

    /// Takes in the report of a task whose work ended.
    pub(super) fn finished(&self, report: TaskReport) {
        let lease = LeaseToken(report.lease.clone());
        let actions = self.feed(Input::Finished(lease.clone()), Vec::new());
        if actions.contains(&Action::Report(lease)) {
            // Nobody receives any more only when the worker is gone.
            let _ = self.reports.send(report);
        }
    }

    /// How many tasks the answer to so many reports may bring.
    pub(super) fn next_slots(&self, reports: usize) -> u32 {
        let reports = u32::try_from(reports).unwrap_or(u32::MAX);
        self.lock().machine.next_slots(reports)
    }

    /// Takes in what became of reports.
    pub(super) fn reported(&self, settled: Vec<LeaseToken>, next_tasks: Vec<Task>) {
        let grants = grants(&next_tasks);
        self.feed(Input::ReportsAnswered { settled, grants }, next_tasks);
    }

    /// Lets time pass; gives the leases to renew now, if any, and the time until the next tick.
    pub(super) fn tick(&self) -> (Option<Vec<LeaseToken>>, Duration) {
        let actions = self.feed(Input::Tick, Vec::new());
        let leases = actions.into_iter().find_map(|action| match action {
            Action::Beat(leases) => Some(leases),
            Action::Poll { .. }
            | Action::Start(_)
            | Action::Stop(_)
            | Action::Cancel(_)
            | Action::Report(_)
            | Action::Drained => None,
        });
        let next = self.lock().machine.next_tick();
        (leases, next.saturating_sub(self.started.elapsed()))
    }

    /// Takes in what a renewal brought.
    pub(super) fn beaten(&self, input: Input) {
        self.feed(input, Vec::new());
    }

    /// Whether the lease may still be held.
    pub(super) fn may_hold(&self, lease: &LeaseToken) -> bool {
        self.lock().machine.may_hold(lease)
    }

    /// How many tasks are held.
    pub(super) fn held(&self) -> usize {
        self.lock().machine.held()
    }

    /// Feeds the machine and passes on what it answers. `arriving` are the tasks of the input's grants; those
    /// the machine does not start are forgotten.
    fn feed(&self, input: Input, arriving: Vec<Task>) -> Vec<Action> {
        let mut arriving: HashMap<_, _> = arriving
            .into_iter()
            .map(|task| (LeaseToken(task.lease.clone()), task))
            .collect();
        let mut state = self.lock();
        let actions = state.machine.handle(self.started.elapsed(), input);
        for action in &actions {
            // A send fails only when its receiver, and so the worker, is gone.
            match action {
                Action::Poll { poll, slots } => {
                    let poll = Poll {
                        id: *poll,
                        slots: *slots,
                    };
                    let _ = self.polls.send(poll);
                }
                Action::Start(lease) => {
                    if let Some(task) = arriving.remove(lease) {
                        let job = Job {
                            task: Arc::new(task),
                            stop: CancellationToken::new(),
                            cancel: CancellationToken::new(),
                        };
                        state.jobs.insert(lease.clone(), job.clone());
                        let _ = self.jobs.send(job);
                    }
                }
                Action::Stop(lease) => {
                    if let Some(job) = state.jobs.remove(lease) {
                        job.stop.cancel();
                    }
                }
                Action::Cancel(lease) => {
                    if let Some(job) = state.jobs.get(lease) {
                        job.cancel.cancel();
                    }
                }
                Action::Report(lease) => {
                    state.jobs.remove(lease);
                }
                Action::Beat(_) => {}
                Action::Drained => self.drained.cancel(),
            }
        }
        actions
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The machine has no invariant that a panic could leave half made: it does not panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn grants(tasks: &[Task]) -> Vec<Grant> {
    let grant = |task: &Task| Grant {
        lease: LeaseToken(task.lease.clone()),
        task: TaskId(task.task_id.clone()),
        seq: task.lease_seq,
    };
    tasks.iter().map(grant).collect()
}
