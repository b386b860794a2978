//! A lane's commits, and what follows from them.

use fulcrum_core::ids::{CommitId, MailId, RunId};
use fulcrum_core::store::{Commit, CommitOutcome, SnapshotMark, Store, StoreError};
use uuid::Uuid;

use super::Lane;
use super::batch::Batch;
use super::flight::{Flight, Flown, Reading};
use crate::engine::cache::CachedRun;
use crate::engine::catalog::Source;
use crate::engine::hand_off::{self, HandOffs};
use crate::engine::item::{Item, LaneError};
use crate::engine::watch::Seen;
use crate::engine::work::Work;
use crate::entropy::Entropy;

impl<S: Store, C: Source> Lane<S, C> {
    /// Sends the batch to the database.
    pub(super) async fn launch(&mut self) {
        let Batch { works, .. } = std::mem::take(&mut self.batch);
        let mut commits = Vec::new();
        let mut committing = Vec::new();
        let mut discard: Vec<MailId> = Vec::new();
        for (run, mut work) in works {
            work.leftovers()
                .into_iter()
                .for_each(|item| self.backlog.push(item));
            match self.assemble(&mut work) {
                Ok(Some(commit)) => {
                    commits.push(commit);
                    committing.push(work);
                }
                Ok(None) if work.is_in_doubt() => self.again(work.into_items()),
                Ok(None) => {
                    discard.extend(work.refuse());
                    self.keep(run, work.unchanged());
                }
                Err(error) => work.fail(&LaneError::Store(error)),
            }
        }
        if !commits.is_empty() {
            let hand_offs = HandOffs::take(
                &self.hall,
                &mut commits,
                self.clock.now(),
                self.options.lease,
                &self.options.entropy,
            );
            let flight = Flight::start(&self.store, committing, commits.into(), hand_offs);
            self.flights.push(flight);
        }
        self.discard(&discard).await;
    }

    /// What a work has to commit, if anything.
    fn assemble(&self, work: &mut Work) -> Result<Option<Commit>, StoreError> {
        let id = commit_id(&self.options.entropy)?;
        Ok(work.commit(id, self.options.snapshot_every_events))
    }

    /// The flight at this place has landed: sends the next one, and acts on what was committed.
    pub(super) async fn land(&mut self, place: usize, flown: Flown) {
        let flight = self.flights.remove(place);
        // Workers first: they have something to do.
        flight.hand_offs.hand(flown.granted, &flight.commits);
        if let Some(reading) = flown.reading {
            self.observe(reading);
        }
        for mail in flown.told {
            self.backlog.offer(&mail);
        }
        for item in flight.held.into_iter().rev() {
            self.backlog.push_first(item);
        }
        // Then the database.
        if self.may_launch() {
            self.launch().await;
        }
        let mut discard = Vec::new();
        let settled = flight.works.into_iter().zip(flight.commits.iter());
        for ((work, commit), outcome) in settled.zip(flown.outcomes) {
            discard.extend(self.settle(work, commit, outcome));
        }
        self.discard(&discard).await;
    }

    /// What becomes of a work whose fate is known. Gives back mail to throw away.
    fn settle(
        &mut self,
        mut work: Box<Work>,
        commit: &Commit,
        outcome: Result<CommitOutcome, StoreError>,
    ) -> Vec<MailId> {
        match outcome {
            Ok(CommitOutcome::Committed) => return self.act(work, commit),
            Ok(CommitOutcome::Conflict) => self.again(work.into_items()),
            Ok(CommitOutcome::LeaseLost(lost)) => self.again(work.into_items_without(&lost)),
            Ok(CommitOutcome::Duplicate(record)) => {
                let (taken, rest): (Vec<Item>, Vec<Item>) = work
                    .into_items()
                    .into_iter()
                    .partition(|item| item.request.as_ref().is_some_and(|r| r.key == record.key));
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
            Err(error) => work.fail(&LaneError::Store(error)),
        }
        Vec::new()
    }

    fn observe(&self, reading: Reading) {
        let round_trip = reading.received_at - reading.sent_at;
        if let Some(jump) = self
            .clock
            .observe(reading.database, reading.received_at, round_trip)
        {
            tracing::error!(
                ?jump,
                "a clock jumped; holders of leases may re-assert them before anything is reaped"
            );
            self.reassertion.open();
        }
    }

    async fn discard(&mut self, mail: &[MailId]) {
        if !mail.is_empty()
            && let Err(error) = self.store.discard_mail(mail).await
        {
            tracing::debug!(%error, "stale mail stays until it is met again");
        }
    }

    /// After the commit: leave tasks to claims, deliver mail, tell watchers, answer callers, keep the run.
    fn act(&mut self, mut work: Box<Work>, commit: &Commit) -> Vec<MailId> {
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
        let cached = work.settle(commit, snapshot, &mut self.values);
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

fn commit_id(entropy: &Entropy) -> Result<CommitId, StoreError> {
    let block = entropy
        .block()
        .map_err(|e| StoreError::Refused(format!("no entropy: {e}")))?;
    let (id, _) = block
        .split_first_chunk()
        .expect("sixteen of thirty-two bytes");
    Ok(CommitId(Uuid::from_bytes(*id)))
}
