//! A lane's commits, and what follows from them.

use std::sync::Arc;

use fulcrum_core::ids::MailId;
use fulcrum_core::store::{
    Commit, CommitOutcome, FlushReport, GrantedTask, SnapshotMark, Store, StoreError,
};
use tokio::time::Instant;

use super::Lane;
use crate::clock;
use crate::engine::catalog::Source;
use crate::engine::hand_off::{self, HandOffs};
use crate::engine::item::{Item, LaneError};
use crate::engine::watch::Seen;
use crate::engine::work::Work;

/// The fate of each commit, and what was handed off.
type Flushed = (Vec<Result<CommitOutcome, StoreError>>, Vec<GrantedTask>);

impl<S: Store, C: Source> Lane<S, C> {
    /// Commits and acts. Gives back mail to throw away.
    pub(super) async fn commit(
        &mut self,
        mut commits: Vec<Commit>,
        works: Vec<Work>,
    ) -> Vec<MailId> {
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
}
