//! When a sweep is worth its query.
//!
//! A sweep looks when its agenda says so: a tick saw something due, or a lane of this controller set an instant that is
//! near. Without being told it looks only now and then.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fulcrum_core::time::Timestamp;
use tokio::sync::Notify;

/// Instants remembered by one agenda; ticks tell of those that find no room.
const INSTANTS_MAX: usize = 4_096;

/// The agenda of one sweep. Cheap to clone; clones are one.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    wake: Arc<Notify>,
    instants: Mutex<BTreeSet<Timestamp>>,
}

/// What an agenda says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Something is due, the last of it since this instant.
    Now(Timestamp),
    /// Something will be.
    At(Timestamp),
    /// Nothing is known.
    Nothing,
}

impl Agenda {
    /// Something is due at `at`, by the database's clock.
    pub fn note(&self, at: Timestamp) {
        let mut instants = self.lock();
        let first = instants.first().copied();
        instants.insert(at);
        if instants.len() > INSTANTS_MAX {
            instants.pop_last();
        }
        if first.is_none_or(|first| at < first) {
            self.inner.wake.notify_one();
        }
    }

    /// What it says at `now`. That something is due is told once.
    #[must_use]
    pub fn prompt(&self, now: Timestamp) -> Prompt {
        let mut instants = self.lock();
        let later = instants.split_off(&Timestamp(now.0.saturating_add(1)));
        let due = std::mem::replace(&mut *instants, later);
        match (due.last(), instants.first()) {
            (Some(since), _) => Prompt::Now(*since),
            (None, Some(at)) => Prompt::At(*at),
            (None, None) => Prompt::Nothing,
        }
    }

    /// Notified when the agenda has to be asked again.
    #[must_use]
    pub fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.inner.wake)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<Timestamp>> {
        // Whatever panicked around it, a set of instants is valid; at worst one is missing, and a tick tells of it.
        self.inner
            .instants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The agendas of one controller, and the bell of its tick.
#[derive(Debug, Clone, Default)]
pub struct Bells {
    /// Tasks whose lease or limit runs out.
    pub reaper: Agenda,
    /// Timers that fire.
    pub timers: Agenda,
    /// Mail that lies about.
    pub mail: Agenda,
    /// Rung when a tick may find something new.
    pub tick: Arc<Notify>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn what_is_due_is_told_once_and_the_next_instant_is_told() {
        let agenda = Agenda::default();
        for ms in [30, 10, 20] {
            agenda.note(at(ms));
        }
        assert_eq!(agenda.prompt(at(5)), Prompt::At(at(10)));
        assert_eq!(agenda.prompt(at(20)), Prompt::Now(at(20)));
        assert_eq!(agenda.prompt(at(20)), Prompt::At(at(30)));
        assert_eq!(agenda.prompt(at(35)), Prompt::Now(at(30)));
        assert_eq!(agenda.prompt(at(40)), Prompt::Nothing);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_nearest_stays() {
        let agenda = Agenda::default();
        for ms in (1..=INSTANTS_MAX as i64 + 10).rev() {
            agenda.note(at(ms));
        }
        assert_eq!(agenda.lock().len(), INSTANTS_MAX);
        assert_eq!(agenda.prompt(at(0)), Prompt::At(at(1)));
    }
}
