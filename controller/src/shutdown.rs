//! Ending in order, and on time.
//!
//! Every long-lived task is spawned through [`Tasks`], under a name and the [`Stage`] at which it has to be over.
//! Shutdown goes through the stages: each is announced by its token, then its tasks are awaited. One deadline spans all
//! of them; what is still alive then is aborted and named in the log. Stages that come after the deadline still get a
//! moment each, so that one stuck loop does not keep the lanes from flushing.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::clock;

/// What a stage gets when it begins after the deadline.
const LAST_CALL: Duration = Duration::from_millis(500);

/// The stages, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Readiness is withdrawn, so that balancers look elsewhere.
    Ready,
    /// No new connections.
    Accept,
    /// Parked long polls and open streams are ended.
    Polls,
    /// Calls in flight finish and connections close.
    Calls,
    /// Maintenance loops end.
    Loops,
    /// Lanes flush what they accepted.
    Lanes,
    /// Connections to the database and to telemetry close.
    Store,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Ready,
        Stage::Accept,
        Stage::Polls,
        Stage::Calls,
        Stage::Loops,
        Stage::Lanes,
        Stage::Store,
    ];
}

struct Task {
    stage: Stage,
    name: &'static str,
    handle: JoinHandle<()>,
}

/// Long-lived tasks and the tokens that end them. Cheap to clone.
#[derive(Clone)]
pub struct Tasks {
    tokens: Arc<[CancellationToken; Stage::ALL.len()]>,
    tasks: Arc<Mutex<Vec<Task>>>,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            tokens: Arc::new(Stage::ALL.map(|_| CancellationToken::new())),
            tasks: Arc::default(),
        }
    }
}

impl Tasks {
    /// The token that is cancelled when a stage begins.
    #[must_use]
    pub fn begins(&self, stage: Stage) -> CancellationToken {
        self.tokens[stage as usize].clone()
    }

    /// Spawns a task that has to be over at the end of `stage`. If it panics, that is logged under its name, and the
    /// process goes on.
    pub fn spawn(
        &self,
        stage: Stage,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let span = tracing::info_span!("task", name);
        let handle = tokio::spawn(work.instrument(span));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.handle.is_finished());
        tasks.push(Task {
            stage,
            name,
            handle,
        });
    }

    /// Goes through all stages within `deadline`. Returns the names of the tasks that had to be aborted.
    pub async fn shut_down(&self, deadline: Duration) -> Vec<&'static str> {
        let until = clock::monotonic() + deadline;
        let mut aborted = Vec::new();
        for stage in Stage::ALL {
            self.tokens[stage as usize].cancel();
            let until = until.max(clock::monotonic() + LAST_CALL);
            for mut task in self.take(stage) {
                match tokio::time::timeout_at(until, &mut task.handle).await {
                    Ok(Ok(())) => {}
                    Ok(Err(failure)) if failure.is_panic() => {
                        tracing::error!(task = task.name, "task had panicked");
                    }
                    Ok(Err(_)) => {}
                    Err(_) => {
                        task.handle.abort();
                        tracing::error!(
                            task = task.name,
                            ?stage,
                            "task was alive at the shutdown deadline; aborted"
                        );
                        aborted.push(task.name);
                    }
                }
            }
        }
        aborted
    }

    /// Ends everything at once and in no order, as the death of the process would: for simulations.
    pub fn abort(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().for_each(|task| task.handle.abort());
    }

    fn take(&self, stage: Stage) -> Vec<Task> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let (due, later) = std::mem::take(&mut *tasks)
            .into_iter()
            .partition(|task| task.stage == stage);
        *tasks = later;
        due
    }
}

/// Completes when the process is asked to end: SIGTERM or SIGINT.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub async fn asked_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn stages_come_in_order_and_stragglers_are_named() {
        let tasks = Tasks::default();
        let order = Arc::new(Mutex::new(Vec::new()));
        for (stage, name) in [(Stage::Lanes, "lanes"), (Stage::Calls, "calls")] {
            let (begins, order) = (tasks.begins(stage), Arc::clone(&order));
            tasks.spawn(stage, name, async move {
                begins.cancelled().await;
                order.lock().expect("not poisoned").push(name);
            });
        }
        tasks.spawn(Stage::Loops, "stuck loop", std::future::pending());
        let aborted = tasks.shut_down(Duration::from_secs(20)).await;
        assert_eq!(aborted, ["stuck loop"]);
        assert_eq!(*order.lock().expect("not poisoned"), ["calls", "lanes"]);
    }

    #[tokio::test]
    async fn a_panic_does_not_stop_the_others() {
        let tasks = Tasks::default();
        tasks.spawn(Stage::Loops, "bad", async { panic!("on purpose") });
        let end = tasks.begins(Stage::Lanes);
        tasks.spawn(Stage::Lanes, "good", async move { end.cancelled().await });
        assert!(tasks.shut_down(Duration::from_secs(20)).await.is_empty());
    }
}
