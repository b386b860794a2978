//! Heartbeats: leases are extended in bulk, and those that are gone are told apart by why.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fulcrum_core::ids::{RunId, WorkerId};
use fulcrum_core::run::StepStatus;
use fulcrum_core::store::{Beat, BeatOutcome, Folded, Store, StoreError};
use fulcrum_core::time::Timestamp;

use super::catalog::Source;
use super::handle::{Engine, EngineError};
use super::load::load;
use super::token::LeaseToken;

/// Runs that are looked at in one heartbeat; the other leases are just lost.
const RUNS_LOOKED_AT_MAX: usize = 64;
/// How long looking may take: those who hold their leases wait for the answer.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Where a lease stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is held until then.
    Held(Timestamp),
    /// It is gone: stop the work at once.
    Lost,
    /// It is gone because its step was cancelled: nobody else does the work, so it may wind up.
    Cancelled,
}

type Runs = BTreeMap<RunId, Result<Folded, StoreError>>;

impl<S: Store, C: Source> Engine<S, C> {
    /// Extends leases, in order of `tokens`.
    pub async fn heartbeat(
        &self,
        worker: WorkerId,
        tokens: &[LeaseToken],
    ) -> Result<Vec<Standing>, EngineError> {
        let beats: Vec<Beat> = tokens
            .iter()
            .map(|token| Beat {
                lease: token.lease,
                worker,
            })
            .collect();
        let outcomes = self.store.heartbeat(&beats, self.lease).await?;
        let gone = tokens
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == BeatOutcome::Lost);
        let runs = self.look(gone.map(|(token, _)| token.run).collect()).await;
        let standings = tokens
            .iter()
            .zip(outcomes)
            .map(|(token, outcome)| match outcome {
                BeatOutcome::Extended(until) => Standing::Held(until),
                BeatOutcome::Lost if is_cancelled(&runs, token) => Standing::Cancelled,
                BeatOutcome::Lost => Standing::Lost,
            });
        Ok(standings.collect())
    }

    /// Looks at runs, as far as that is quick. A lease whose run was not seen is lost, which stops its work, too.
    async fn look(&self, runs: BTreeSet<RunId>) -> Runs {
        let runs: Vec<RunId> = runs.into_iter().take(RUNS_LOOKED_AT_MAX).collect();
        if runs.is_empty() {
            return Runs::new();
        }
        match tokio::time::timeout(LOOK_MAX, load(self.store.as_ref(), &runs)).await {
            Ok(Ok(runs)) => runs,
            Ok(Err(error)) => {
                tracing::debug!(%error, "why leases are gone could not be seen");
                Runs::new()
            }
            Err(_) => Runs::new(),
        }
    }
}

fn is_cancelled(runs: &Runs, token: &LeaseToken) -> bool {
    let Some(Ok(folded)) = runs.get(&token.run) else {
        return false;
    };
    folded.run.step(&token.step).is_some_and(|step| {
        // Each lease that ran out and each attempt that failed was a grant. One as old as those was lost before.
        let earlier = u64::from(step.crashes) + u64::from(step.attempt.saturating_sub(1));
        step.status == StepStatus::Cancelled && token.lease.seq > earlier
    })
}
