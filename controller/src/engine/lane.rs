//! A lane: one task that decides, commits and acts for the runs whose root hashes to it.

mod commit;
mod open;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::event::Actor;
use fulcrum_core::ids::{CommitId, MailId, RunId};
use fulcrum_core::limits::Limits;
use fulcrum_core::store::{Store, StoreError};
use fulcrum_core::time::Millis;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backlog::Backlog;
use super::cache::{CachedRun, RunCache};
use super::catalog::{Catalog, Source};
use super::dispatch::hall::Hall;
use super::herald::Herald;
use super::item::{Item, LaneError};
use super::reaper::Reassertion;
use super::values::Values;
use super::watch::WatchHub;
use crate::clock::DatabaseClock;
use crate::entropy::Entropy;

/// Sizes of a lane, and what it draws from.
#[derive(Debug, Clone)]
pub struct LaneOptions {
    /// Commands in one flush. About 64 is the knee: beyond it a commit's fixed cost is already shared.
    pub batch_commands_max: usize,
    /// Runs kept in memory.
    pub cached_runs_max: usize,
    /// Memory for parsed payloads.
    pub values_bytes_max: usize,
    /// Internal follow-ups (mail) kept in memory; the mail loop finds what does not fit.
    pub backlog_items_max: usize,
    /// A snapshot is due when so many events have come since the last one.
    pub snapshot_every_events: u64,
    /// Decisions of one command that may lose a race before it is refused.
    pub conflicts_max: u8,
    /// Limits handed to the core.
    pub limits: Limits,
    /// How long a lease lasts that is handed off.
    pub lease: Millis,
    /// Where commit ids and the core's entropy come from.
    pub entropy: Entropy,
}

/// A lane over a store.
#[derive(Debug)]
pub struct Lane<S, C> {
    store: Arc<S>,
    catalog: Arc<Catalog<C>>,
    clock: Arc<DatabaseClock>,
    hub: WatchHub,
    hall: Hall,
    herald: Herald,
    reassertion: Reassertion,
    options: LaneOptions,
    cache: RunCache,
    values: Values,
    backlog: Backlog,
}

impl<S: Store, C: Source> Lane<S, C> {
    /// A lane with an empty cache.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        catalog: Arc<Catalog<C>>,
        clock: Arc<DatabaseClock>,
        hall: Hall,
        herald: Herald,
        reassertion: Reassertion,
        options: LaneOptions,
    ) -> Self {
        let cache = RunCache::new(options.cached_runs_max);
        let values = Values::new(options.values_bytes_max);
        let backlog = Backlog::new(options.backlog_items_max);
        Self {
            store,
            catalog,
            clock,
            hub: herald.hub().clone(),
            hall,
            herald,
            reassertion,
            options,
            cache,
            values,
            backlog,
        }
    }

    /// Works until `stop` is cancelled and everything queued by then is answered. Internal follow-ups that are still
    /// in memory at that point are durable as mail and are left to the next controller.
    pub async fn run(mut self, mut queue: mpsc::Receiver<Item>, stop: CancellationToken) {
        loop {
            if self.backlog.is_empty() {
                tokio::select! {
                    biased;
                    item = queue.recv() => match item {
                        Some(item) => self.backlog.push(item),
                        None => return,
                    },
                    () = stop.cancelled(), if !queue.is_closed() => {
                        queue.close();
                        continue;
                    }
                }
            }
            if stop.is_cancelled() {
                queue.close();
                self.backlog.keep_awaited();
            }
            let batch = self
                .backlog
                .batch(&mut queue, self.options.batch_commands_max);
            // A panic must not end the lane: whoever waited is told to call again, and what was cached is read again.
            if AssertUnwindSafe(self.process(batch))
                .catch_unwind()
                .await
                .is_err()
            {
                tracing::error!("a batch panicked; the lane goes on with an empty cache");
                self.cache = RunCache::new(self.options.cached_runs_max);
            }
        }
    }

    /// One batch: load, decide, commit, act.
    pub async fn process(&mut self, batch: Vec<Item>) {
        let mut works = match self.open(batch).await {
            Ok(works) => works,
            Err((error, items)) => {
                for item in items {
                    item.answer(Err(LaneError::Store(error.clone())));
                }
                return;
            }
        };
        for work in works.values_mut() {
            if let Err(error) = self.decide(work).await {
                work.fail(&LaneError::Store(error));
            }
        }
        let mut commits = Vec::new();
        let mut committing = Vec::new();
        let mut discard: Vec<MailId> = Vec::new();
        for (run, mut work) in works {
            work.leftovers()
                .into_iter()
                .for_each(|item| self.backlog.push(item));
            let commit = match work.outcome() {
                Some(outcome) => match commit_id(&self.options.entropy) {
                    Ok(id) => outcome.merged.commit(
                        id,
                        outcome.run,
                        outcome.before,
                        self.options.snapshot_every_events,
                    ),
                    Err(error) => {
                        work.fail(&LaneError::Store(error));
                        continue;
                    }
                },
                None if work.is_in_doubt() => {
                    self.again(work.into_items());
                    continue;
                }
                None => {
                    discard.extend(work.refuse());
                    self.keep(run, work.unchanged());
                    continue;
                }
            };
            commits.push(commit);
            committing.push(work);
        }
        if !commits.is_empty() {
            discard.extend(self.commit(commits, committing).await);
        }
        if !discard.is_empty()
            && let Err(error) = self.store.discard_mail(&discard).await
        {
            tracing::debug!(%error, "stale mail stays until it is met again");
        }
    }

    /// Puts commands that lost a race back in line; they are decided on what is loaded next.
    fn again(&mut self, items: Vec<Item>) {
        for mut item in items.into_iter().rev() {
            item.conflicts += 1;
            if item.conflicts > self.options.conflicts_max {
                let run = item.command.run;
                item.answer(Err(LaneError::Contended(run)));
            } else {
                self.backlog.push_first(item);
            }
        }
    }

    fn keep(&mut self, run: RunId, cached: Option<CachedRun>) {
        if let Some(cached) = cached {
            self.cache.put(run, cached);
        }
    }
}

/// Mail as a command to its addressee.
#[must_use]
pub fn deliver(mail: &Mail) -> Command {
    Command {
        run: mail.to,
        actor: Actor::Run(mail.from),
        trace: None,
        kind: CommandKind::Mail {
            id: mail.id,
            body: mail.body.clone(),
        },
    }
}

fn commit_id(entropy: &Entropy) -> Result<CommitId, StoreError> {
    let block = entropy
        .block()
        .map_err(|e| StoreError::Refused(format!("no entropy: {e}")))?;
    let (id, _) = block
        .split_first_chunk()
        .expect("sixteen of thirty-two bytes");
    Ok(CommitId(Uuid::from_bytes(*id)))
}
