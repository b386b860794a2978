//! Turns timers whose instant has passed into run commands.

use std::sync::Arc;

use fulcrum_core::decide::{Command, CommandKind};
use fulcrum_core::event::Actor;
use fulcrum_core::store::{Store, StoreError};
use futures_util::future::join_all;

use super::rounds::Rounds;
use super::router::{Router, Settled};
use crate::loops::Progress;

/// The timer loop's state.
#[derive(Debug)]
pub struct Timers<S> {
    store: Arc<S>,
    router: Router,
    batch_rows_max: u32,
    rounds: Rounds,
}

impl<S: Store> Timers<S> {
    /// Fires at most `batch_rows_max` timers a sweep.
    #[must_use]
    pub fn new(store: Arc<S>, router: Router, batch_rows_max: u32) -> Self {
        Self {
            store,
            router,
            batch_rows_max,
            rounds: Rounds::of("timer"),
        }
    }

    /// One page; tells how many timers fired. A timer that cannot be fired does not stop the others.
    pub async fn sweep(&mut self) -> Result<Progress, StoreError> {
        let page = self
            .store
            .due_timers(self.rounds.after(), self.batch_rows_max)
            .await?;
        let due = self.rounds.take(page, |timer| timer.timer.0);
        let commands = due.iter().map(|timer| {
            let kind = CommandKind::TimerFired {
                timer: timer.timer,
                step: timer.step.clone(),
                purpose: timer.purpose,
            };
            let command = Command {
                run: timer.run,
                actor: Actor::System,
                trace: None,
                kind,
            };
            self.router.settle(command, timer.root)
        });
        let outcomes = join_all(commands).await;
        let mut fired = 0;
        let mut stale = Vec::new();
        for (timer, outcome) in due.iter().zip(outcomes) {
            match outcome {
                Ok(Settled::Committed) => fired += 1,
                Ok(Settled::Meaningless) => stale.push(timer.timer),
                Err(error) => {
                    self.rounds.failed(timer.timer.0, timer.run, &error);
                    continue;
                }
            }
            self.rounds.settled(timer.timer.0);
        }
        if !stale.is_empty() {
            self.store.discard_timers(&stale).await?;
        }
        Ok(self.rounds.progress(fired))
    }
}
