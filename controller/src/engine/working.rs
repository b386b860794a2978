//! What workers ask of the engine: tasks, and that their outcomes be taken.

use std::time::Duration;

use fulcrum_core::decide::command::{AppendJournal, Report, ReportOutcome};
use fulcrum_core::decide::{Command, CommandKind, Rejection};
use fulcrum_core::event::{Actor, Grant, TraceContext};
use fulcrum_core::ids::{NamespaceId, RunId, WorkerId};
use fulcrum_core::payload::NewPayload;
use fulcrum_core::store::{Beat, GrantedTask, Store};
use fulcrum_core::time::Millis;
use tokio::time::Instant;

use super::catalog::Source;
use super::delivery::{Carriage, Delivery, deliveries};
use super::dispatch::hall::Turned;
use super::dispatch::poll::{Parcel, Wish};
use super::dispatch::seat::{ReportSeat, Seat};
use super::handle::{Engine, EngineError};
use super::item::LaneError;
use super::token::LeaseToken;

/// A lease call waits at least so long, for a claim to be made on its behalf.
const LEASE_WAIT_MIN: Duration = Duration::from_millis(50);

/// What cannot be read because object storage is away is offered again after so long: others go first meanwhile.
const BLOBS_REST: Millis = Millis::from_secs(5);

/// A worker's call for tasks.
#[derive(Debug, Clone)]
pub struct LeaseCall {
    /// Who asks, from the certificate.
    pub worker: WorkerId,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Capabilities offered and granted.
    pub capabilities: Vec<String>,
    /// Free slots.
    pub slots: u32,
    /// How long to wait for a task.
    pub wait: Duration,
    /// Names the call, so that it can be repeated; empty if it cannot.
    pub call_id: String,
    /// The largest value in the answer; `None` if the worker can read none by itself.
    pub whole_bytes_max: Option<u32>,
}

impl LeaseCall {
    fn wish(self, wait: Duration, slots_max: u32) -> Wish {
        Wish {
            worker: self.worker,
            namespace: self.namespace,
            capabilities: self.capabilities,
            slots: self.slots.min(slots_max),
            call_id: self.call_id,
            deadline: Instant::now() + wait,
        }
    }
}

impl<S: Store, C: Source> Engine<S, C> {
    /// Parks a lease call and answers with granted tasks, or with none when `wait` is over. A call repeated under the
    /// same `call_id` gets the same grants again; with no slots it asks for nothing else.
    pub async fn lease(&self, call: LeaseCall) -> Result<Vec<Delivery>, EngineError> {
        let whole_bytes_max = call.whole_bytes_max;
        if let Some(granted) = self
            .hall
            .repeated(call.worker, &call.call_id, self.clock.now())
        {
            return self.delivered(granted, whole_bytes_max).await;
        }
        if call.slots == 0 || call.capabilities.is_empty() {
            return Ok(Vec::new());
        }
        let wait = call.wait.max(LEASE_WAIT_MIN);
        let wish = call.wish(wait, self.limits.lease_batch_max);
        let seat = Seat::take(&self.hall, wish).map_err(|turned| match turned {
            Turned::Full => LaneError::Overloaded,
            Turned::Closed => LaneError::Draining,
        })?;
        self.delivered(seat.answered().await, whole_bytes_max).await
    }

    /// A seat for the slots that a call's reports free, to be taken before they are handed in. `None` if there is no
    /// room for one: the worker asks by itself.
    #[must_use]
    pub fn report_seat(&self, call: LeaseCall) -> Option<ReportSeat> {
        if call.slots == 0 || call.capabilities.is_empty() {
            return None;
        }
        let wait = call.wait;
        let wish = call.wish(wait, self.limits.lease_batch_max);
        ReportSeat::take(&self.hall, wish).ok()
    }

    /// The grants that the call of this name got and that still hold; `None` if it is new.
    #[must_use]
    pub fn repeated(&self, worker: WorkerId, call_id: &str) -> Option<Vec<Parcel>> {
        self.hall.repeated(worker, call_id, self.clock.now())
    }

    /// The next tasks for a call whose reports are in: what it got before, if it is repeated, and what is new.
    pub async fn next_tasks(
        &self,
        seat: Option<ReportSeat>,
        again: Vec<Parcel>,
        whole_bytes_max: Option<u32>,
    ) -> Vec<Delivery> {
        let mut granted = again;
        granted.extend(seat.map(ReportSeat::leave).unwrap_or_default());
        match self.delivered(granted, whole_bytes_max).await {
            Ok(deliveries) => deliveries,
            Err(error) => {
                // The reports are in and must be answered; these leases run out.
                tracing::warn!(%error, "next tasks cannot be delivered");
                Vec::new()
            }
        }
    }

    /// Grants ready for the wire. One that cannot be delivered fails its own step, or waits for its lease to run out; what
    /// the answer has no room for is offered again.
    async fn delivered(
        &self,
        granted: Vec<Parcel>,
        whole_bytes_max: Option<u32>,
    ) -> Result<Vec<Delivery>, EngineError> {
        let carriage = Carriage {
            answer_bytes_max: self.answer_bytes_max,
            whole_bytes_max,
        };
        let deliveries = deliveries(self.store.as_ref(), granted, carriage).await?;
        for spoiled in deliveries.spoiled {
            spoiled.give_up(&self.router).await;
        }
        self.offer_again(&deliveries.left_over, Millis(0)).await;
        self.offer_again(&deliveries.not_yet, BLOBS_REST).await;
        Ok(deliveries.ready)
    }

    async fn offer_again(&self, left_over: &[GrantedTask], rest: Millis) {
        if left_over.is_empty() {
            return;
        }
        let grants: Vec<Beat> = left_over
            .iter()
            .map(|task| Beat {
                lease: task.lease,
                worker: task.worker,
            })
            .collect();
        match self.store.give_back(&grants, rest).await {
            Ok(()) => tracing::debug!(tasks = grants.len(), "not in this answer; offered again"),
            Err(error) => {
                tracing::warn!(%error, tasks = grants.len(), "not in this answer; their leases run out");
            }
        }
        // They are ready again, or will be, and their lines do not know.
        let ready_at = self.clock.now().plus(rest);
        for task in left_over {
            if rest == Millis(0) {
                self.hall.leave(task.namespace, &task.capability);
            } else {
                self.hall.expect(task.namespace, ready_at);
            }
        }
    }

    /// Takes a worker's report; what is given waits for its commit. A lost lease is `Rejection::LeaseLost`.
    pub fn report(
        &self,
        worker: WorkerId,
        token: LeaseToken,
        outcome: ReportOutcome,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send + use<S, C> {
        let family = (token.run, token.root);
        let grant = Grant {
            worker,
            lease_seq: token.lease.seq,
            granted_at: token.granted_at,
        };
        let report = Report {
            step: token.step,
            lease: token.lease,
            grant,
            outcome,
        };
        let kind = CommandKind::Report(Box::new(report));
        self.told_by(worker, family, kind, trace)
    }

    /// Records completed operations of a task's journal.
    pub fn append_journal(
        &self,
        worker: WorkerId,
        token: LeaseToken,
        operations: Vec<(String, [u8; 32], NewPayload)>,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send + use<S, C> {
        let family = (token.run, token.root);
        let kind = CommandKind::AppendJournal(AppendJournal {
            step: token.step,
            lease: token.lease,
            operations,
        });
        self.told_by(worker, family, kind, trace)
    }

    /// What a worker says of a run. Saying it again gets the answer that the first time got.
    fn told_by(
        &self,
        worker: WorkerId,
        (run, root): (RunId, RunId),
        kind: CommandKind,
        trace: Option<TraceContext>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send + use<S, C> {
        let command = Command {
            run,
            actor: Actor::Worker(worker),
            trace,
            kind,
        };
        let accepted = self.send(command, root, None);
        async move {
            match accepted.await {
                Ok(_) | Err(EngineError::Lane(LaneError::Rejected(Rejection::Stale(_)))) => Ok(()),
                Err(error) => Err(error),
            }
        }
    }
}
