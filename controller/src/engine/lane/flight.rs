//! A batch on its way to the database, until its answer has come.

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use fulcrum_core::decide::command::Mail;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::{Commit, CommitOutcome, FlushReport, GrantedTask, Store, StoreError};
use fulcrum_core::time::Timestamp;
use futures_util::FutureExt;
use tokio::time::Instant;

use crate::clock;
use crate::engine::hand_off::HandOffs;
use crate::engine::item::Item;
use crate::engine::work::Work;

/// Repetitions of a batch that the database asked to have repeated.
const RETRIES_MAX: u32 = 3;

/// Batches in flight at a time: while the database waits for its log with one, it works on the other.
pub(super) const FLIGHTS_MAX: usize = 2;

/// A batch in flight.
#[expect(clippy::vec_box, reason = "works come boxed and go boxed")]
pub(super) struct Flight {
    /// Its runs, in order.
    pub(super) works: Vec<Box<Work>>,
    /// The commit of each.
    pub(super) commits: Arc<[Commit]>,
    /// Slots taken for its tasks.
    pub(super) hand_offs: HandOffs,
    /// Roots of its children.
    pub(super) families: BTreeSet<RunId>,
    /// Commands of its runs that came meanwhile.
    pub(super) held: Vec<Item>,
    answer: Pin<Box<dyn Future<Output = Flown> + Send>>,
}

/// What came of a flight.
#[derive(Debug, Default)]
pub(super) struct Flown {
    /// The fate of each commit.
    pub(super) outcomes: Vec<Result<CommitOutcome, StoreError>>,
    /// What was handed off.
    pub(super) granted: Vec<GrantedTask>,
    /// What parents are told of their joins.
    pub(super) told: Vec<Mail>,
    /// What the database's clock said.
    pub(super) reading: Option<Reading>,
}

/// A look at the database's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// What it said.
    pub(super) database: Timestamp,
    /// When it was asked.
    pub(super) sent_at: Instant,
    /// When it had answered.
    pub(super) received_at: Instant,
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("works", &self.works)
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl Flight {
    /// Sends a batch. `works` are in the order of their runs.
    #[expect(clippy::vec_box, reason = "works come boxed and go boxed")]
    pub(super) fn start<S: Store>(
        store: &Arc<S>,
        works: Vec<Box<Work>>,
        commits: Arc<[Commit]>,
        hand_offs: HandOffs,
    ) -> Self {
        let children = works.iter().filter(|work| work.root() != work.run);
        let families = children.map(|work| work.root()).collect();
        let mut answer = fly(Arc::clone(store), Arc::clone(&commits)).boxed();
        // The first poll sends it: the database works while the lane decides.
        if let Some(flown) = answer.as_mut().now_or_never() {
            answer = std::future::ready(flown).boxed();
        }
        Self {
            works,
            commits,
            hand_offs,
            families,
            held: Vec::new(),
            answer,
        }
    }

    /// Is this run in it?
    pub(super) fn carries(&self, run: RunId) -> bool {
        self.works
            .binary_search_by_key(&run, |work| work.run)
            .is_ok()
    }
}

/// Waits for the answer to one of them, and tells which; for ever, if nothing is in flight.
pub(super) async fn landed(flights: &mut [Flight]) -> (usize, Flown) {
    poll_fn(|context| {
        for (place, flight) in flights.iter_mut().enumerate() {
            if let Poll::Ready(flown) = flight.answer.as_mut().poll(context) {
                return Poll::Ready((place, flown));
            }
        }
        Poll::Pending
    })
    .await
}

impl Flown {
    fn add(&mut self, report: FlushReport, sent_at: Instant) {
        self.outcomes.extend(report.outcomes.into_iter().map(Ok));
        self.granted.extend(report.granted);
        self.told.extend(report.join_mail);
        self.reading = Some(Reading {
            database: report.now,
            sent_at,
            received_at: clock::monotonic(),
        });
    }
}

/// Commits a batch. One that the database refuses as a whole is split, so that a poisoned command fails alone.
async fn fly<S: Store>(store: Arc<S>, commits: Arc<[Commit]>) -> Flown {
    let mut flown = Flown::default();
    let mut retries = 0;
    loop {
        let sent_at = clock::monotonic();
        match store.flush(Arc::clone(&commits)).await {
            Ok(report) => flown.add(report, sent_at),
            Err(StoreError::Retry(reason)) if retries < RETRIES_MAX => {
                retries += 1;
                tracing::debug!(%reason, retries, "flush repeated");
                continue;
            }
            Err(StoreError::Refused(reason)) if commits.len() > 1 => {
                tracing::warn!(%reason, commits = commits.len(), "flush refused; committing one by one");
                for commit in commits.iter() {
                    let sent_at = clock::monotonic();
                    match store.flush([commit.clone()]).await {
                        Ok(report) => flown.add(report, sent_at),
                        Err(error) => flown.outcomes.push(Err(error)),
                    }
                }
            }
            Err(error @ StoreError::BlobsUnavailable { .. }) => {
                without_blobs(store.as_ref(), &commits, error, &mut flown).await;
            }
            Err(error) => flown.outcomes = commits.iter().map(|_| Err(error.clone())).collect(),
        }
        return flown;
    }
}

/// Commits what needs no object storage; the others are told that it is away.
async fn without_blobs<S: Store>(
    store: &S,
    commits: &[Commit],
    error: StoreError,
    flown: &mut Flown,
) {
    let StoreError::BlobsUnavailable { runs, .. } = &error else {
        return;
    };
    let is_held_up = |commit: &Commit| runs.contains(&commit.head.run);
    let others: Vec<Commit> = commits
        .iter()
        .filter(|commit| !is_held_up(commit))
        .cloned()
        .collect();
    let count = others.len();
    tracing::warn!(%error, runs = commits.len() - count, "commits wait for object storage");
    let mut rest = Flown::default();
    if count > 0 {
        let sent_at = clock::monotonic();
        match store.flush(others).await {
            Ok(report) => rest.add(report, sent_at),
            Err(error) => rest.outcomes = vec![Err(error); count],
        }
    }
    let mut fates = std::mem::take(&mut rest.outcomes).into_iter();
    rest.outcomes = commits
        .iter()
        .map(|commit| match is_held_up(commit) {
            true => Err(error.clone()),
            false => fates.next().unwrap_or_else(|| Err(error.clone())),
        })
        .collect();
    *flown = rest;
}
