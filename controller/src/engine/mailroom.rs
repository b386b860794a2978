//! The backstop behind direct delivery of mail: finds what a crash, a full lane or a drain left lying.

use std::sync::Arc;

use fulcrum_core::store::{Store, StoreError};
use fulcrum_core::time::Millis;
use futures_util::future::join_all;

use super::lane::deliver;
use super::rounds::Rounds;
use super::router::Router;
use crate::loops::Progress;

/// The mail loop's state.
#[derive(Debug)]
pub struct Mailroom<S> {
    store: Arc<S>,
    router: Router,
    older_than: Millis,
    batch_rows_max: u32,
    rounds: Rounds,
}

impl<S: Store> Mailroom<S> {
    /// Delivers mail that has lain for `older_than`, at most `batch_rows_max` a sweep.
    #[must_use]
    pub fn new(store: Arc<S>, router: Router, older_than: Millis, batch_rows_max: u32) -> Self {
        Self {
            store,
            router,
            older_than,
            batch_rows_max,
            rounds: Rounds::of("piece of mail"),
        }
    }

    /// One page; tells how many pieces were delivered. A piece that cannot be delivered does not stop the others.
    pub async fn sweep(&mut self) -> Result<Progress, StoreError> {
        let page = self
            .store
            .pending_mail(self.older_than, self.rounds.after(), self.batch_rows_max)
            .await?;
        let pending = self.rounds.take(page, |mail| mail.id.0);
        let outcomes = join_all(
            pending
                .iter()
                .map(|mail| self.router.settle(deliver(mail), mail.root)),
        )
        .await;
        let mut delivered = 0;
        for (mail, outcome) in pending.iter().zip(outcomes) {
            match outcome {
                Ok(_) => {
                    delivered += 1;
                    self.rounds.settled(mail.id.0);
                }
                Err(error) => self.rounds.failed(mail.id.0, mail.to, &error),
            }
        }
        Ok(self.rounds.progress(delivered))
    }
}
