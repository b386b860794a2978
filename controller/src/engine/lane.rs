//! A lane: one task that decides, commits and acts for the runs whose root hashes to it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::event::Actor;
use fulcrum_core::ids::{CommitId, MailId, RunId};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::{
    Commit, CommitOutcome, FlushReport, Folded, GrantedTask, JoinKey, SnapshotMark, Store,
    StoreError,
};
use fulcrum_core::time::Millis;
use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::backlog::{Backlog, is_start};
use super::cache::{CachedRun, RunCache};
use super::catalog::{Catalog, Source};
use super::dispatch::hall::Hall;
use super::hand_off::{self, HandOffs};
use super::herald::Herald;
use super::item::{Item, LaneError};
use super::load::load;
use super::reaper::Reassertion;
use super::values::Values;
use super::watch::{Seen, WatchHub};
use super::work::{Knowledge, Want, Work};
use crate::clock::{self, DatabaseClock};
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

/// The fate of each commit, and what was handed off.
type Flushed = (Vec<Result<CommitOutcome, StoreError>>, Vec<GrantedTask>);

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

    /// Groups a batch by run and loads what is not cached.
    async fn open(
        &mut self,
        batch: Vec<Item>,
    ) -> Result<BTreeMap<RunId, Work>, (StoreError, Vec<Item>)> {
        let mut groups: BTreeMap<RunId, Vec<Item>> = BTreeMap::new();
        for item in batch {
            groups.entry(item.command.run).or_default().push(item);
        }
        let mut cached: BTreeMap<RunId, CachedRun> = BTreeMap::new();
        let mut remembered = BTreeSet::new();
        let mut missing = Vec::new();
        for (run, items) in &groups {
            match self.cache.take(*run) {
                Some(found) => {
                    remembered.insert(*run);
                    cached.insert(*run, found);
                }
                // A fresh start is decided on nothing; if the run exists after all, the commit conflicts and reloads.
                None if items[0].conflicts == 0 && is_start(&items[0].command.kind) => {}
                None => missing.push(*run),
            }
        }
        let mut corrupt: BTreeMap<RunId, StoreError> = BTreeMap::new();
        if !missing.is_empty() {
            match self.load(&missing, &mut corrupt).await {
                Ok(loaded) => cached.extend(loaded),
                Err(error) => return Err((error, groups.into_values().flatten().collect())),
            }
        }
        let mut works = BTreeMap::new();
        for (run, items) in groups {
            if let Some(error) = corrupt.remove(&run) {
                tracing::error!(%run, %error, "the run is corrupt and takes no commands");
                for item in items {
                    item.answer(Err(LaneError::Store(error.clone())));
                }
                continue;
            }
            let knowledge = if remembered.contains(&run) {
                Knowledge::Remembered
            } else {
                Knowledge::Read
            };
            let mut work = Work::new(
                run,
                cached.remove(&run),
                knowledge,
                self.options.limits,
                &mut self.values,
            );
            for item in items {
                work.push(item);
            }
            works.insert(run, work);
        }
        Ok(works)
    }

    async fn load(
        &self,
        missing: &[RunId],
        corrupt: &mut BTreeMap<RunId, StoreError>,
    ) -> Result<Vec<(RunId, CachedRun)>, StoreError> {
        let mut runs = Vec::new();
        for (id, folded) in load(self.store.as_ref(), missing).await? {
            match folded {
                Ok(Folded {
                    run,
                    head,
                    snapshot,
                }) => match self.catalog.plan(run.origin.definition).await? {
                    Ok(plan) => {
                        let payloads = BTreeSet::new();
                        runs.push((
                            id,
                            CachedRun {
                                run: Arc::new(run),
                                head,
                                plan,
                                snapshot,
                                payloads,
                            },
                        ));
                    }
                    Err(problem) => {
                        corrupt.insert(id, StoreError::Corrupt { run: id, problem });
                    }
                },
                Err(error) => {
                    corrupt.insert(id, error);
                }
            }
        }
        Ok(runs)
    }

    /// Decides everything that waits in a work, fetching what the core asks for.
    async fn decide(&mut self, work: &mut Work) -> Result<(), StoreError> {
        loop {
            match work.advance(self.clock.now(), &self.options.entropy) {
                Want::Nothing => return Ok(()),
                Want::Plan(hash) => work.give_plan(self.catalog.plan(hash).await?),
                Want::Contracts(namespace) => {
                    work.give_contracts(self.catalog.contracts(namespace).await?)
                }
                Want::Needs(namespace, needs) => {
                    self.fetch(work, needs.payloads).await?;
                    for step in needs.joins {
                        let root = work.root();
                        let key = JoinKey {
                            run: work.run,
                            root,
                            step: step.clone(),
                        };
                        let outputs = self.store.join_outputs(&key).await?;
                        work.inputs_mut().joins.insert(step, outputs);
                    }
                    for workflow in needs.workflows {
                        let newest = self.catalog.newest(namespace, &workflow).await?;
                        work.inputs_mut().workflows.insert(workflow, newest);
                    }
                }
            }
        }
    }

    /// Gives a work payloads: from memory, and the others from the store.
    async fn fetch(
        &mut self,
        work: &mut Work,
        needed: BTreeSet<PayloadRef>,
    ) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for reference in needed {
            match self.values.get(reference.id) {
                Some(value) => work.give_payload(reference.id, value),
                None => missing.push(reference),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        for new in self.store.payloads(&missing).await? {
            let id = new.reference.id;
            let value = new.payload.to_value().map_err(|e| StoreError::Corrupt {
                run: work.run,
                problem: format!("payload {id} is not JSON: {e}"),
            })?;
            let value = Arc::new(value);
            self.values.put(id, Arc::clone(&value));
            work.give_payload(id, value);
        }
        Ok(())
    }

    /// Commits and acts. Gives back mail to throw away.
    async fn commit(&mut self, mut commits: Vec<Commit>, works: Vec<Work>) -> Vec<MailId> {
        let hand_offs = HandOffs::take(
            &self.hall,
            &mut commits,
            self.clock.now(),
            self.options.lease,
            &self.options.entropy,
        );
        let commits: Arc<[Commit]> = commits.into();
        let (outcomes, granted) = match self.flush(&commits).await {
            Ok(flushed) => flushed,
            Err(error) => {
                for mut work in works {
                    work.fail(&LaneError::Store(error.clone()));
                }
                return Vec::new();
            }
        };
        // Workers first: they have something to do.
        hand_offs.hand(granted, &commits);
        let mut discard = Vec::new();
        for ((work, commit), outcome) in works.into_iter().zip(commits.iter()).zip(outcomes) {
            match outcome {
                Ok(CommitOutcome::Committed) => discard.extend(self.act(work, commit)),
                Ok(CommitOutcome::Conflict) => self.again(work.into_items()),
                Ok(CommitOutcome::LeaseLost(lost)) => self.again(work.into_items_without(&lost)),
                Ok(CommitOutcome::Duplicate(record)) => {
                    let (taken, rest): (Vec<Item>, Vec<Item>) =
                        work.into_items().into_iter().partition(|item| {
                            item.request.as_ref().is_some_and(|r| r.key == record.key)
                        });
                    for item in taken {
                        item.answer(Err(LaneError::Duplicate(Box::new(record.clone()))));
                    }
                    self.again(rest);
                }
                Ok(CommitOutcome::KeyTaken(holder)) => {
                    for item in work.into_items() {
                        item.answer(Err(LaneError::KeyTaken(holder)));
                    }
                }
                Err(error) => {
                    let mut work = work;
                    work.fail(&LaneError::Store(error));
                }
            }
        }
        discard
    }

    /// Flushes a batch. A batch that the database refuses as a whole is split, so that a poisoned command fails alone.
    async fn flush(&mut self, commits: &Arc<[Commit]>) -> Result<Flushed, StoreError> {
        const RETRIES_MAX: u32 = 3;
        let mut retries = 0;
        loop {
            let sent_at = clock::monotonic();
            match self.store.flush(Arc::clone(commits)).await {
                Ok(report) => {
                    let (outcomes, granted) = self.after_flush(report, sent_at);
                    return Ok((outcomes.into_iter().map(Ok).collect(), granted));
                }
                Err(StoreError::Retry(reason)) if retries < RETRIES_MAX => {
                    retries += 1;
                    tracing::debug!(%reason, retries, "flush repeated");
                }
                Err(StoreError::Refused(reason)) if commits.len() > 1 => {
                    tracing::warn!(%reason, commits = commits.len(), "flush refused; committing one by one");
                    return Ok(self.flush_one_by_one(commits).await);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn flush_one_by_one(&mut self, commits: &[Commit]) -> Flushed {
        let mut outcomes = Vec::with_capacity(commits.len());
        let mut granted = Vec::new();
        for commit in commits {
            let sent_at = clock::monotonic();
            let outcome = self.store.flush([commit.clone()]).await;
            outcomes.push(outcome.map(|report| {
                let (mut alone, of_this) = self.after_flush(report, sent_at);
                granted.extend(of_this);
                alone.pop().expect("a flush answers each commit")
            }));
        }
        (outcomes, granted)
    }

    fn after_flush(
        &mut self,
        report: FlushReport,
        sent_at: Instant,
    ) -> (Vec<CommitOutcome>, Vec<GrantedTask>) {
        let received_at = clock::monotonic();
        if let Some(jump) = self
            .clock
            .observe(report.now, received_at, received_at - sent_at)
        {
            tracing::error!(
                ?jump,
                "a clock jumped; holders of leases may re-assert them before anything is reaped"
            );
            self.reassertion.open();
        }
        for mail in report.join_mail {
            self.backlog.offer(&mail);
        }
        (report.outcomes, report.granted)
    }

    /// After the commit: leave tasks to claims, deliver mail, tell watchers, answer callers, keep the run.
    fn act(&mut self, mut work: Work, commit: &Commit) -> Vec<MailId> {
        let head = &commit.head;
        let run = head.run;
        let now = self.clock.now();
        hand_off::announce(&self.hall, commit, now);
        self.herald.committed(commit, now);
        let snapshot = match &commit.snapshot {
            Some(state) => SnapshotMark {
                seq: head.last_seq,
                bytes: state.len() as u64,
            },
            None => work.snapshot(),
        };
        for mail in &commit.mail {
            self.backlog.offer(mail);
        }
        let closed = head.status.is_closed();
        self.hub.publish(
            run,
            Seen {
                version: head.version,
                status: head.status,
                closed: if closed && self.hub.is_watched(run) {
                    work.closed(commit)
                } else {
                    None
                },
            },
        );
        // The version was what the decisions were made on, so the refusals beside them stand too.
        let discard = work.refuse();
        let cached = work.settle(head.clone(), snapshot, &mut self.values);
        self.keep(run, cached);
        discard
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
