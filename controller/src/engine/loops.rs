//! The engine's backstops as maintenance loops.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::store::{Revisions, Store, StoreError};
use fulcrum_core::time::Millis;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::agenda::{Agenda, Prompt};
use super::catalog::{Catalog, Source};
use super::mailroom::Mailroom;
use super::reaper::Reaper;
use super::tick::Tidings;
use super::timers::Timers;
use super::watch::{WatchHub, look_at};
use crate::clock::{self, DatabaseClock};
use crate::loops::{Loop, Next, Progress, TickError};

/// Sweeps are so far apart at least, unless a page was full: what falls due one by one is taken together.
const GAP: Duration = Duration::from_millis(50);

/// What has been due for no longer than this, by our estimate of the database's clock, may not be due by that clock.
const EARLY: Millis = Millis(100);

/// A sweep: one page of what is due.
pub trait Sweeping: Send {
    /// Its name in logs, metrics and the status board.
    const NAME: &'static str;

    /// Looks for what is due and acts on it.
    fn sweep(&mut self) -> impl Future<Output = Result<Progress, StoreError>> + Send;
}

/// A sweep that is made when its agenda says so, and now and then unasked.
#[derive(Debug)]
pub struct Prompted<W> {
    /// The sweep.
    pub sweep: W,
    /// Its agenda.
    pub agenda: Agenda,
    /// The database's clock.
    pub clock: Arc<DatabaseClock>,
    /// How long it may go without a sweep.
    pub backstop: Duration,
    /// Rung after a sweep that did something: the next instant may be near.
    pub tick: Arc<Notify>,
    /// Where it stands.
    pub standing: Standing,
}

/// Where a prompted sweep stands.
#[derive(Debug, Default)]
pub struct Standing {
    /// When it began last.
    last: Option<Instant>,
    /// Something is due that no sweep has seen.
    due: bool,
    /// It has only just become so, and nobody has looked twice.
    just_due: bool,
    /// The last page was full.
    full: bool,
}

impl<W: Sweeping> Prompted<W> {
    /// Asks the agenda. Gives the pause until it has to be asked again.
    fn look_up(&mut self) -> Next {
        let now = self.clock.now();
        match self.agenda.prompt(now) {
            Prompt::Now(at) => {
                self.standing.due = true;
                self.standing.just_due = now.since(at) < EARLY;
                Next::Within(GAP)
            }
            Prompt::At(at) => Next::Within(Duration::from_millis(at.since(now).0 + 1)),
            Prompt::Nothing => Next::Period,
        }
    }
}

impl<W: Sweeping> Loop for Prompted<W> {
    const NAME: &'static str = W::NAME;

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let next = self.look_up();
        let now = clock::monotonic();
        let silence = self.standing.last.map(|last| now - last);
        let overdue = silence.is_none_or(|silence| silence >= self.backstop / 2);
        if !(self.standing.due || self.standing.full || overdue) {
            return Ok(Progress { worked: 0, next });
        }
        if let Some(silence) = silence
            && silence < GAP
            && !self.standing.full
        {
            let next = Next::Within(GAP - silence);
            return Ok(Progress { worked: 0, next });
        }
        self.standing.last = Some(now);
        // If it fails, it is still due.
        self.standing.due = true;
        let progress = self.sweep.sweep().await?;
        // If nothing was found of what has only just become due, it was too early, perhaps.
        self.standing.due = std::mem::take(&mut self.standing.just_due) && progress.worked == 0;
        self.standing.full = progress.next == Next::Now;
        if progress.worked > 0 {
            self.tick.notify_one();
        }
        if let Next::Within(rest) = progress.next {
            let rest = u64::try_from(rest.as_millis()).unwrap_or(u64::MAX);
            self.agenda.note(self.clock.now().plus(Millis(rest)));
        }
        let next = match progress.next {
            Next::Now => Next::Now,
            Next::Period | Next::Within(_) if self.standing.due => Next::Within(GAP),
            Next::Period | Next::Within(_) => self.look_up(),
        };
        Ok(Progress { next, ..progress })
    }
}

impl<S: Store> Sweeping for Reaper<S> {
    const NAME: &'static str = "reaper";

    async fn sweep(&mut self) -> Result<Progress, StoreError> {
        Self::sweep(self).await
    }
}

impl<S: Store> Sweeping for Timers<S> {
    const NAME: &'static str = "timers";

    async fn sweep(&mut self) -> Result<Progress, StoreError> {
        Self::sweep(self).await
    }
}

impl<S: Store> Sweeping for Mailroom<S> {
    const NAME: &'static str = "mail";

    async fn sweep(&mut self) -> Result<Progress, StoreError> {
        Self::sweep(self).await
    }
}

/// Sees what other controllers did: contracts registered and watched runs committed there. Woken by the tick.
#[derive(Debug)]
pub struct Refresh<S, C> {
    /// Durable state.
    pub store: Arc<S>,
    /// Contracts.
    pub catalog: Arc<Catalog<C>>,
    /// Watched runs.
    pub hub: WatchHub,
    /// What the last tick found.
    pub tidings: watch::Receiver<Tidings>,
    /// How long contracts may go without being read.
    pub backstop: Duration,
    /// The contracts that were read last, and when.
    pub read: Option<(Revisions, Instant)>,
}

impl<S: Store, C: Source> Loop for Refresh<S, C> {
    const NAME: &'static str = "refresh";

    async fn tick(&mut self) -> Result<Progress, TickError> {
        let watched = self.hub.watched();
        if !watched.is_empty() {
            look_at(self.store.as_ref(), &self.hub, &watched).await?;
        }
        let (now, revisions) = (clock::monotonic(), self.tidings.borrow().revisions);
        let stands =
            |(read, at): (Revisions, Instant)| read == revisions && now - at < self.backstop / 2;
        if !self.read.is_some_and(stands) {
            self.catalog.refresh_all().await?;
            self.read = Some((revisions, now));
        }
        Ok(Progress::done(watched.len() as u64))
    }
}
