//! Tells what a commit means beyond its lane: instants that are near to this controller's agendas, and news to other
//! controllers, if there are any.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fulcrum_core::store::{Commit, LineKey, TimerOp};
use fulcrum_core::task::TaskOp;
use fulcrum_core::time::{Millis, Timestamp};
use tokio::sync::{Notify, watch};

use super::agenda::Bells;
use super::news::News;
use super::watch::WatchHub;

/// Instants that are nearer are told to the agenda at once; a tick tells of the others in time.
const NEAR: Millis = Millis::from_secs(5);

/// Called by the lanes after each commit. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct Herald {
    bells: Bells,
    hub: WatchHub,
    desk: Arc<Desk>,
}

/// Who is there to hear news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Audience {
    /// Nobody, as far as is known.
    #[default]
    Nobody,
    /// Another controller.
    Somebody,
}

/// Where news waits to be told.
#[derive(Debug, Default)]
struct Desk {
    audience: watch::Sender<Audience>,
    news: Mutex<News>,
    bell: Notify,
}

impl Herald {
    /// A herald that writes into these agendas. Nobody hears its news yet.
    #[must_use]
    pub fn new(bells: Bells, hub: WatchHub) -> Self {
        Self {
            bells,
            hub,
            desk: Arc::default(),
        }
    }

    /// Who waits for which run.
    #[must_use]
    pub fn hub(&self) -> &WatchHub {
        &self.hub
    }

    /// A commit went through.
    pub fn committed(&self, commit: &Commit, now: Timestamp) {
        for timer in &commit.timers {
            match timer {
                TimerOp::Set { at, .. } if *at <= now.plus(NEAR) => self.bells.timers.note(*at),
                TimerOp::Set { .. } | TimerOp::Clear { .. } => {}
            }
        }
        if self.is_heard() {
            self.note(|news| tell(news, commit, now, &self.hub));
        }
    }

    /// Contracts or identities were changed here.
    pub fn changed(&self) {
        if self.is_heard() {
            self.note(|news| news.tick = true);
        }
    }

    /// Who is there to hear news. While nobody is, none is kept.
    pub fn set_audience(&self, audience: Audience) {
        self.desk.audience.send_replace(audience);
    }

    /// Waits until this is who hears news.
    pub async fn has_audience(&self, audience: Audience) {
        let mut told = self.desk.audience.subscribe();
        // The sender is ours.
        let _ = told.wait_for(|told| *told == audience).await;
    }

    /// Waits until there is news.
    pub async fn rung(&self) {
        self.desk.bell.notified().await;
    }

    /// What has come together since the last time.
    #[must_use]
    pub fn take(&self) -> News {
        std::mem::take(&mut self.lock())
    }

    fn is_heard(&self) -> bool {
        *self.desk.audience.borrow() == Audience::Somebody
    }

    fn note(&self, write: impl FnOnce(&mut News)) {
        let mut news = self.lock();
        write(&mut news);
        if !news.is_empty() {
            self.desk.bell.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, News> {
        // News that a panic left half written is a courtesy still.
        self.desk
            .news
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What others may wait for: tasks that found no slot here, and a run that nobody watches here.
fn tell(news: &mut News, commit: &Commit, now: Timestamp, hub: &WatchHub) {
    for op in &commit.tasks {
        match op {
            TaskOp::Create(new) => {
                let handed = commit.hand_offs.iter().any(|hand| hand.task == new.task);
                if !handed && new.ready_at <= now {
                    news.line(LineKey {
                        namespace: new.namespace,
                        capability: new.capability.clone(),
                    });
                }
            }
            // Which line it is in, a tick tells.
            TaskOp::Resume { .. } => news.tick = true,
            TaskOp::Release { .. } | TaskOp::Park { .. } | TaskOp::Remove { .. } => {}
        }
    }
    if !hub.is_watched(commit.head.run) {
        news.run(commit.head.run);
    }
}
