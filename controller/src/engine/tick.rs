//! The tick: one statement that tells a controller all it would otherwise have to ask for again and again.
//!
//! It wakes whoever has something to do: sweeps by their agendas, the claimer by the lines in which tasks are ready,
//! those who keep contracts and identities in memory by the revisions. Who is not woken asks nothing. While this
//! controller is alone and nothing is due, ticks are half a period further apart: all that happens, happens here.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::store::tick::TICK_LINES_MAX;
use fulcrum_core::store::{Attendance, Found, Revisions, Sought, Store};
use fulcrum_core::time::Millis;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::agenda::Bells;
use super::dispatch::hall::Hall;
use super::reaper::Reassertion;
use super::watch::WatchHub;
use crate::clock::{self, DatabaseClock};
use crate::entropy::Entropy;
use crate::loops::{Loop, Next, Progress, TickError, jitter};

/// Ticks are so far apart at least, however often the bell is rung.
const GAP: Duration = Duration::from_millis(20);
/// How much the period is spread, in percent.
const JITTER_PERCENT: u32 = 20;
/// How often watched runs are looked at while nobody else could change them: a commit whose outcome was never learnt.
const ALONE_LOOK: Duration = Duration::from_secs(10);

/// What the last tick found that others go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tidings {
    /// When it asked.
    pub asked_at: Instant,
    /// What has changed.
    pub revisions: Revisions,
    /// Live controllers besides this one.
    pub others: u32,
    /// This one.
    pub attendance: Attendance,
}

/// The tick of this controller.
#[derive(Debug)]
pub struct Tick<S> {
    /// Durable state.
    pub store: Arc<S>,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// Told when clocks disagree, and that the database answers.
    pub reassertion: Reassertion,
    /// Whom it wakes.
    pub bells: Bells,
    /// Where workers wait.
    pub hall: Hall,
    /// Watched runs.
    pub hub: WatchHub,
    /// Wakes who looks at watched runs and contracts.
    pub refresh: Arc<Notify>,
    /// Whom it tells.
    pub tidings: watch::Sender<Tidings>,
    /// The usual period.
    pub period: Duration,
    /// Mail that has lain for so long should have been consumed.
    pub mail_age: Millis,
    /// This controller, if it signed in.
    pub attending: Option<Uuid>,
    /// What spreads the period.
    pub entropy: Entropy,
    /// When the last one asked, and when one last had watched runs looked at.
    pub last: Last,
}

/// When a tick did what.
#[derive(Debug, Default)]
pub struct Last {
    asked: Option<Instant>,
    watched: Option<Instant>,
}

impl<S: Store> Tick<S> {
    /// Period of the loop: the pause while there is nothing to do.
    #[must_use]
    pub fn relaxed(period: Duration) -> Duration {
        period * 3 / 2
    }

    fn sought(&self) -> Sought {
        let ahead = Self::relaxed(self.period) * 2;
        Sought {
            ahead: Millis(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX)),
            mail_age: self.mail_age,
            lines: self.hall.lines(TICK_LINES_MAX),
            attending: self.attending,
        }
    }

    /// Wakes whoever has something to do. Gives how many that were.
    fn wake(&mut self, found: &Found, asked_at: Instant) -> u64 {
        let mut woken = 0;
        for (due, agenda) in [
            (found.task_due, &self.bells.reaper),
            (found.timer_due, &self.bells.timers),
            (found.mail_lies.then_some(found.now), &self.bells.mail),
        ] {
            if let Some(at) = due {
                agenda.note(at);
                woken += 1;
            }
        }
        self.hall.look(&found.ready);
        woken += found.ready.len() as u64;
        let before = self.tidings.borrow().revisions;
        self.tidings.send_replace(Tidings {
            asked_at,
            revisions: found.revisions,
            others: found.others,
            attendance: found.attendance,
        });
        let looked = self.last.watched.map(|last| asked_at - last);
        let due = found.others > 0 || looked.is_none_or(|since| since >= ALONE_LOOK);
        let watch = due && !self.hub.watched().is_empty();
        if watch {
            self.last.watched = Some(asked_at);
        }
        if watch || before != found.revisions {
            self.refresh.notify_one();
            woken += 1;
        }
        woken
    }
}

impl<S: Store> Loop for Tick<S> {
    const NAME: &'static str = "tick";
    /// All others wait for it.
    const BACKOFF_MAX: Duration = Duration::from_secs(2);

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let asked_at = clock::monotonic();
        if let Some(silence) = self.last.asked.map(|last| asked_at - last)
            && silence < GAP
        {
            let next = Next::Within(GAP - silence);
            return Ok(Progress { worked: 0, next });
        }
        self.last.asked = Some(asked_at);
        let found = self.store.tick(&self.sought()).await?;
        self.reassertion.in_touch();
        self.reassertion.compare(&self.clock, found.now, asked_at);
        let worked = self.wake(&found, asked_at);
        let next = if worked > 0 || found.others > 0 {
            Next::Within(jitter::around(self.period, JITTER_PERCENT, &self.entropy))
        } else {
            Next::Period
        };
        Ok(Progress { worked, next })
    }
}
