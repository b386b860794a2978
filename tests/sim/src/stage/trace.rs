//! What happened, in order. Two walks of one seed must leave the same trace.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::clock::WorldClock;

/// Lines kept of one world. A world that says more than this does not come to rest.
const LINES_MAX: usize = 400_000;

/// The trace of a world.
#[derive(Debug, Default)]
pub struct Trace {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    lines: Vec<String>,
    problems: Vec<String>,
}

impl Trace {
    /// Notes what `who` did or met.
    pub fn note(&self, clock: &WorldClock, who: impl Display, what: impl Display) {
        let at = clock.elapsed();
        let line = format!(
            "{:>4}.{:06} {who:<4} {what}",
            at.as_secs(),
            at.subsec_micros()
        );
        let mut inner = self.lock();
        if inner.lines.len() < LINES_MAX {
            inner.lines.push(line);
        } else if inner.problems.len() < 100 {
            inner.problems.push(format!(
                "the world does not come to rest: {LINES_MAX} lines"
            ));
        }
    }

    /// Notes something that must not be.
    pub fn problem(&self, clock: &WorldClock, what: impl Display) {
        let what = what.to_string();
        self.note(clock, "!!!!", &what);
        self.lock().problems.push(what);
    }

    /// Everything, taken out: the lines, and what must not be.
    #[must_use]
    pub fn take(&self) -> (Vec<String>, Vec<String>) {
        let inner = std::mem::take(&mut *self.lock());
        (inner.lines, inner.problems)
    }

    /// Has anything gone wrong so far?
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.lock().problems.is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A line is pushed whole or not at all.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a trace: equal names, equal traces.
#[must_use]
pub fn digest(lines: &[String]) -> String {
    let mut hash = Sha256::new();
    for line in lines {
        hash.update((line.len() as u64).to_be_bytes());
        hash.update(line.as_bytes());
    }
    hex::encode(&hash.finalize()[..8])
}
