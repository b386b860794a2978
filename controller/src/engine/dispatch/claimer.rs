//! The one claimer of this controller.
//!
//! One claim is in flight at a time: what happens meanwhile is served by the next.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_core::store::{Beat, Store, StoreError};
use fulcrum_core::time::Millis;
use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hall::{Hall, Look};
use super::poll::Parcel;
use crate::clock::DatabaseClock;

/// How long to leave the database alone after a claim that failed.
const PAUSE: Duration = Duration::from_millis(250);

/// The claimer.
#[derive(Debug)]
pub struct Claimer<S> {
    store: Arc<S>,
    clock: Arc<DatabaseClock>,
    hall: Hall,
    lease: Millis,
    backstop: Duration,
}

impl<S: Store> Claimer<S> {
    /// A claimer that grants leases of `lease` and looks at the database at least every `backstop`.
    #[must_use]
    pub fn new(
        store: Arc<S>,
        clock: Arc<DatabaseClock>,
        hall: Hall,
        lease: Millis,
        backstop: Duration,
    ) -> Self {
        Self {
            store,
            clock,
            hall,
            lease,
            backstop,
        }
    }

    /// Serves parked calls until `stop`; then every one is answered empty.
    pub async fn run(self, stop: CancellationToken) {
        let mut next_look = Instant::now() + self.backstop;
        while !stop.is_cancelled() {
            let round = AssertUnwindSafe(self.round(&mut next_look, &stop));
            // A panic must not end the claiming; what the hall thought of its lines may be wrong now.
            if round.catch_unwind().await.is_err() {
                tracing::error!("a round of claiming panicked; all lines are looked at again");
                self.hall.doubt();
                next_look = Instant::now() + PAUSE;
            }
        }
        self.give_back(self.hall.close()).await;
    }

    /// Waits for something to do and does it.
    async fn round(&self, next_look: &mut Instant, stop: &CancellationToken) {
        let next_ready = self.hall.turn_due(self.clock.now());
        let (deadline, stale) = self.hall.sweep(Instant::now());
        if !stale.is_empty() {
            self.give_back(stale).await;
            // They are ready again, and no line knows.
            self.hall.doubt();
        }
        let look = if Instant::now() >= *next_look {
            *next_look = Instant::now() + self.backstop;
            Look::Everywhere
        } else {
            Look::Pending
        };
        if let Some(claim) = self.hall.claim(look) {
            match self.store.claim(&claim.requests, self.lease).await {
                Ok(granted) => {
                    let granted = granted.into_iter().map(|task| Parcel { task, input: None });
                    self.hall.claimed(&claim, Some(granted.collect()));
                }
                Err(error) => {
                    tracing::warn!(%error, "claim failed; calls stay parked");
                    self.hall.claimed(&claim, None);
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
            return;
        }
        let ready = next_ready
            .map(|at| Instant::now() + Duration::from_millis(at.since(self.clock.now()).0 + 1));
        let wake_at = [Some(*next_look), ready, deadline]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(*next_look);
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = self.hall.rung() => {}
            () = tokio::time::sleep_until(wake_at) => {}
        }
    }

    async fn give_back(&self, grants: Vec<Beat>) {
        if grants.is_empty() {
            return;
        }
        let count = grants.len();
        match self.store.give_back(&grants, Millis(0)).await {
            Ok(()) => tracing::debug!(count, "grants that nobody fetched are given back"),
            Err(error) => tell(&error, count),
        }
    }
}

fn tell(error: &StoreError, count: usize) {
    tracing::warn!(%error, count, "grants that nobody fetched could not be given back; their leases run out");
}
