//! Finds tasks whose lease, or whose time to start or to close, has run out, and makes run commands of them.
//!
//! After this controller starts where none was for a while, after it was out of touch with the database for so long that
//! a healthy worker's lease may have run out meanwhile, and after a clock jumped or this machine slept, expired leases
//! are left alone for one lease time: healthy workers get the chance to re-assert theirs by a heartbeat or a report, so
//! that an outage of the controller does not restart everybody's work. The clocks are compared before anything leased is
//! reaped.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulcrum_core::decide::command::TaskDue;
use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::event::Actor;
use fulcrum_core::store::{Store, StoreError};
use fulcrum_core::task::{Due, TaskRow};
use fulcrum_core::time::Timestamp;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::rounds::Rounds;
use super::router::{Router, Settled};
use crate::clock::{self, DatabaseClock};
use crate::loops::{Next, Progress};

/// The window in which expired leases are left alone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reassertion {
    length: Duration,
    out_of_touch_max: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// When the window closes, or closed.
    until: Instant,
    /// When the database last answered a loop that asks it all the time.
    last_contact: Option<Instant>,
}

impl Reassertion {
    /// A window that is open each time it is opened, for `length`. `out_of_touch_max` is how long workers may be without
    /// a controller that has the database before leases can run out because of it: the lease time less the heartbeat
    /// period, which is what a lease has left at least. The window is open now, unless another controller was heard of a
    /// `silence` ago that leaves workers half of that to find this one.
    #[must_use]
    pub fn new(length: Duration, out_of_touch_max: Duration, silence: Option<Duration>) -> Self {
        let is_served = silence.is_some_and(|silence| silence <= out_of_touch_max / 2);
        let rest = if is_served { Duration::ZERO } else { length };
        Self {
            length,
            out_of_touch_max,
            state: Arc::new(Mutex::new(State {
                until: clock::monotonic() + rest,
                last_contact: None,
            })),
        }
    }

    /// Opens the window (again), from now on.
    pub fn open(&self) {
        self.lock().until = clock::monotonic() + self.length;
    }

    /// The database has answered. Opens the window if that has taken too long. Whoever reaps says so before, and so
    /// does the tick.
    pub fn in_touch(&self) {
        let now = clock::monotonic();
        let longest = self.out_of_touch_max;
        let last = self.lock().last_contact.replace(now);
        if last.is_some_and(|last| now - last > longest) {
            tracing::warn!(
                ?longest,
                "out of touch with the database for so long that leases may have run out; holders may re-assert theirs \
                 before anything is reaped"
            );
            self.open();
        }
    }

    /// The database has worked for us: what took long was not the way to it.
    fn touched(&self) {
        self.lock().last_contact = Some(clock::monotonic());
    }

    /// Compares this process's estimate with what the database's clock said in an answer that has just arrived to a
    /// question of `sent_at`. Opens the window if they disagree.
    pub fn compare(&self, clock: &DatabaseClock, database: Timestamp, sent_at: Instant) {
        let received_at = clock::monotonic();
        if let Some(jump) = clock.observe(database, received_at, received_at - sent_at) {
            tracing::error!(
                ?jump,
                "a clock jumped, or this machine slept; holders of leases may re-assert them before anything is reaped"
            );
            self.open();
        }
    }

    /// For how long it stays open; `None` if it is closed.
    fn open_for(&self) -> Option<Duration> {
        let rest = self
            .lock()
            .until
            .saturating_duration_since(clock::monotonic());
        (!rest.is_zero()).then_some(rest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Two instants are valid whatever panicked around them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reaper of this controller.
#[derive(Debug)]
pub struct Reaper<S> {
    store: Arc<S>,
    router: Router,
    clock: Arc<DatabaseClock>,
    reassertion: Reassertion,
    batch_rows_max: u32,
    rounds: Rounds,
}

impl<S: Store> Reaper<S> {
    /// A reaper that respects the window.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        router: Router,
        clock: Arc<DatabaseClock>,
        reassertion: Reassertion,
        batch_rows_max: u32,
    ) -> Self {
        Self {
            store,
            router,
            clock,
            reassertion,
            batch_rows_max,
            rounds: Rounds::of("task"),
        }
    }

    /// One page; tells how many commands were committed. A task that cannot be reaped does not stop the others.
    pub async fn sweep(&mut self) -> Result<Progress, StoreError> {
        let page = self
            .store
            .due_tasks(self.rounds.after(), self.batch_rows_max)
            .await?;
        self.reassertion.in_touch();
        let mut due = self.rounds.take(page, |row| row.task.0);
        let mut alone_for = None;
        if due.iter().any(leased) {
            alone_for = self.leases_are_left_alone().await?;
            due.retain(|row| alone_for.is_none() || !leased(row));
        }
        let commands = due.iter().map(|row| {
            let kind = CommandKind::TaskDue(TaskDue {
                step: row.step.clone(),
                seen: row.clone(),
            });
            let command = Command {
                run: row.run,
                actor: Actor::System,
                trace: None,
                kind,
            };
            self.router.settle(command, row.root)
        });
        let outcomes = join_all(commands).await;
        let mut reaped = 0;
        for (row, outcome) in due.iter().zip(outcomes) {
            match outcome {
                Ok(Settled::Committed) => {
                    reaped += 1;
                    // The lanes may have been slow, but they had the database.
                    self.reassertion.touched();
                    self.rounds.settled(row.task.0);
                }
                Ok(Settled::Meaningless) => self.rounds.meant_nothing(row.task.0, row.run),
                Err(error) => self.rounds.failed(row.task.0, row.run, &error),
            }
        }
        let progress = self.rounds.progress(reaped);
        Ok(match (progress.next, alone_for) {
            (Next::Period, Some(rest)) => Progress {
                next: Next::Within(rest),
                ..progress
            },
            (Next::Now | Next::Within(_) | Next::Period, _) => progress,
        })
    }

    /// Compares the clocks, which may open the window, and tells for how long it stays open.
    async fn leases_are_left_alone(&self) -> Result<Option<Duration>, StoreError> {
        let sent_at = clock::monotonic();
        let now = self.store.now().await?;
        self.reassertion.compare(&self.clock, now, sent_at);
        Ok(self.reassertion.open_for())
    }
}

fn leased(row: &TaskRow) -> bool {
    match row.due {
        Due::LeaseDeadline(_) | Due::StartToClose(_) => true,
        Due::Never | Due::ScheduleToStart(_) => false,
    }
}
