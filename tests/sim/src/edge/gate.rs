//! What a process that stands still (SIGSTOP, a suspended laptop) stands before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A gate; clones are the same gate. Those who wait go through in the order in which they came.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    stopped: Arc<AtomicBool>,
    opened: Arc<Notify>,
}

/// Whether a process moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// It does.
    Running,
    /// It stands still.
    Stopped,
}

impl Gate {
    /// Stops the process, or lets it go on.
    pub fn set(&self, motion: Motion) {
        self.stopped
            .store(motion == Motion::Stopped, Ordering::Relaxed);
        if motion == Motion::Running {
            self.opened.notify_waiters();
        }
    }

    /// Goes through once the gate is open. (A `watch` channel would do, but wakes those who wait in random order.)
    pub async fn pass(&self) {
        while self.stopped.load(Ordering::Relaxed) {
            // One thread: nothing comes between the look and the wait.
            self.opened.notified().await;
        }
    }
}
