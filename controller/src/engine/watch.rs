//! Who waits for which run. Lanes publish after each commit; a loop publishes what other controllers committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use fulcrum_core::ids::{PayloadId, RunId};
use fulcrum_core::payload::Payload;
use fulcrum_core::run::Run;
use fulcrum_core::store::{RunHead, RunStatus, Store, StoreError};
use tokio::sync::watch;

/// What watchers see of a run.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The run's version; 0 before anything is known.
    pub version: u64,
    /// Its status.
    pub status: RunStatus,
    /// The closed run, where it closed here: who waits for its result needs no query.
    pub closed: Option<Arc<Closed>>,
}

/// A run as it closed.
#[derive(Debug)]
pub struct Closed {
    /// The fold.
    pub run: Arc<Run>,
    /// The row.
    pub head: RunHead,
    /// Payloads that the closing commit wrote.
    pub payloads: BTreeMap<PayloadId, Payload>,
}

/// The watched runs. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct WatchHub {
    runs: Arc<Mutex<BTreeMap<RunId, watch::Sender<Seen>>>>,
}

impl WatchHub {
    /// A receiver that changes whenever the run commits.
    #[must_use]
    pub fn watch(&self, run: RunId) -> watch::Receiver<Seen> {
        let mut runs = self.lock();
        let sender = runs.entry(run).or_insert_with(|| {
            watch::Sender::new(Seen {
                version: 0,
                status: RunStatus::Running,
                closed: None,
            })
        });
        sender.subscribe()
    }

    /// Does anybody watch this run?
    #[must_use]
    pub fn is_watched(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    /// Tells watchers, if there are any. Versions only rise.
    pub fn publish(&self, run: RunId, seen: Seen) {
        let mut runs = self.lock();
        let Some(sender) = runs.get(&run) else { return };
        if sender.receiver_count() == 0 {
            runs.remove(&run);
            return;
        }
        sender.send_if_modified(|current| {
            let newer = seen.version > current.version;
            if newer {
                *current = seen;
            }
            newer
        });
    }

    /// Runs with a live watcher; forgets the others.
    #[must_use]
    pub fn watched(&self) -> Vec<RunId> {
        let mut runs = self.lock();
        runs.retain(|_, sender| sender.receiver_count() > 0);
        runs.keys().copied().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, watch::Sender<Seen>>> {
        // The map is valid after any panic: each operation on it is a single step.
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells those who watch these runs how far they are, wherever they were changed.
pub async fn look_at<S: Store>(
    store: &S,
    hub: &WatchHub,
    runs: &[RunId],
) -> Result<(), StoreError> {
    for head in store.heads(runs).await? {
        hub.publish(
            head.run,
            Seen {
                version: head.version,
                status: head.status,
                closed: None,
            },
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulcrum_core::ids::Shard;
    use fulcrum_core::time::Timestamp;

    #[test]
    fn an_older_version_never_overwrites_a_newer_one() {
        let hub = WatchHub::default();
        let run = RunId::new(Timestamp(1), Shard(0), 1);
        let receiver = hub.watch(run);
        hub.publish(
            run,
            Seen {
                version: 3,
                status: RunStatus::Completed,
                closed: None,
            },
        );
        hub.publish(
            run,
            Seen {
                version: 2,
                status: RunStatus::Running,
                closed: None,
            },
        );
        let seen = receiver.borrow();
        assert_eq!((seen.version, seen.status), (3, RunStatus::Completed));
    }

    #[test]
    fn a_run_that_nobody_watches_is_forgotten() {
        let hub = WatchHub::default();
        let run = RunId::new(Timestamp(1), Shard(0), 1);
        drop(hub.watch(run));
        assert!(hub.watched().is_empty());
    }
}
