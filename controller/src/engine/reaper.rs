//! Finds tasks whose lease, or whose time to start or to close, has run out, and makes run commands of them.
//!
//! After this controller starts, or has been cut off from the database for longer than a lease, expired leases are
//! left alone for one lease time: healthy workers get the chance to re-assert theirs by a heartbeat or a report, so
//! that an outage of the controller does not restart everybody's work.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fulcrum_core::decide::command::TaskDue;
use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::event::Actor;
use fulcrum_core::store::{Store, StoreError};
use fulcrum_core::task::{Due, TaskRow};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::item::LaneError;
use super::router::Router;
use crate::clock;

/// The window in which expired leases are left alone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reassertion {
    length: Duration,
    until: Arc<Mutex<Instant>>,
}

impl Reassertion {
    /// A window that is open now, and each time it is opened, for `length`.
    #[must_use]
    pub fn open_for(length: Duration) -> Self {
        Self {
            length,
            until: Arc::new(Mutex::new(clock::monotonic() + length)),
        }
    }

    /// Opens the window (again), from now on.
    pub fn open(&self) {
        *self.lock() = clock::monotonic() + self.length;
    }

    fn is_open(&self) -> bool {
        clock::monotonic() < *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        // An instant is valid whatever panicked around it.
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reaper of this controller.
#[derive(Debug)]
pub struct Reaper<S> {
    store: Arc<S>,
    router: Router,
    reassertion: Reassertion,
    batch_rows_max: u32,
    last_contact: Option<Instant>,
}

impl<S: Store> Reaper<S> {
    /// A reaper that respects the window.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        router: Router,
        reassertion: Reassertion,
        batch_rows_max: u32,
    ) -> Self {
        Self {
            store,
            router,
            reassertion,
            batch_rows_max,
            last_contact: None,
        }
    }

    /// One sweep; returns how many commands were committed.
    pub async fn sweep(&mut self) -> Result<usize, StoreError> {
        let due = self.store.due_tasks(self.batch_rows_max).await?;
        let now = clock::monotonic();
        if self
            .last_contact
            .is_some_and(|last| now - last > self.reassertion.length)
        {
            tracing::warn!(
                "out of touch for longer than a lease; holders may re-assert before anything is reaped"
            );
            self.reassertion.open();
        }
        self.last_contact = Some(now);
        let in_window = self.reassertion.is_open();
        let commands = due
            .into_iter()
            .filter(|row| !(in_window && leased(row)))
            .map(|row| {
                let (run, root) = (row.run, row.root);
                let kind = CommandKind::TaskDue(TaskDue {
                    step: row.step.clone(),
                    seen: row,
                });
                (
                    Command {
                        run,
                        actor: Actor::System,
                        trace: None,
                        kind,
                    },
                    root,
                )
            });
        let outcomes =
            join_all(commands.map(|(command, root)| self.router.settle(command, root))).await;
        Ok(outcomes
            .into_iter()
            .filter(|outcome| reaped(outcome.as_ref().err()))
            .count())
    }
}

fn leased(row: &TaskRow) -> bool {
    match row.due {
        Due::LeaseDeadline(_) | Due::StartToClose(_) => true,
        Due::Never | Due::ScheduleToStart(_) => false,
    }
}

fn reaped(error: Option<&LaneError>) -> bool {
    if let Some(error) = error {
        // The row is met again at the next sweep; one that always errors does not stop the others.
        tracing::debug!(%error, "a due task was not reaped");
    }
    error.is_none()
}
