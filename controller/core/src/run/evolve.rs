//! The fold. One arm per event; no arm can fail, and none evaluates anything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::event::{Activity, Actor, Envelope, Event, Grant, RunStarted, StepKey};
use crate::failure::Failure;
use crate::ids::RunId;
use crate::payload::PayloadRef;
use crate::run::journal::JournalRecord;
use crate::run::shelf::Shelf;
use crate::run::state::{KeptSignal, Returning, Run};
use crate::run::step::{StepState, StepStatus};
use crate::store::RunStatus;

impl Run {
    /// The run that a timeline begins with. `None` if the first event is not `RunStarted`.
    #[must_use]
    pub fn from_started(id: RunId, first: &Envelope) -> Option<Self> {
        match &first.event {
            Event::RunStarted(started) => Some(Self::begin(id, (**started).clone(), first)),
            Event::StepSkipped { .. }
            | Event::StepOpened { .. }
            | Event::StepCompleted { .. }
            | Event::AttemptFailed { .. }
            | Event::LeaseExpired { .. }
            | Event::StepFailed { .. }
            | Event::StepCancelled { .. }
            | Event::ReviewDecided { .. }
            | Event::SignalReceived { .. }
            | Event::SignalConsumed { .. }
            | Event::ItemsSpawned { .. }
            | Event::JoinProgressed { .. }
            | Event::VariableSet { .. }
            | Event::CheckpointReached { .. }
            | Event::JournalRecorded { .. }
            | Event::JournalRequested { .. }
            | Event::StepParked { .. }
            | Event::StepResumed { .. }
            | Event::RunCancelRequested { .. }
            | Event::RunReturning { .. }
            | Event::RunCompleted { .. }
            | Event::RunFailed { .. }
            | Event::RunCancelled { .. }
            | Event::StepTimedOut { .. }
            | Event::ItemsCancelled { .. } => None,
        }
    }

    /// Folds a whole timeline. `None` if it is empty or does not begin with `RunStarted`.
    #[must_use]
    pub fn fold<'e>(id: RunId, events: impl IntoIterator<Item = &'e Envelope>) -> Option<Self> {
        let mut events = events.into_iter();
        let mut run = Self::from_started(id, events.next()?)?;
        events.for_each(|event| run.evolve(event));
        Some(run)
    }

    fn begin(id: RunId, started: RunStarted, first: &Envelope) -> Self {
        Self {
            id,
            origin: Arc::new(started),
            started_at: first.at,
            closed_at: None,
            status: RunStatus::Running,
            cancel_reason: None,
            returning: None,
            output: None,
            failure: None,
            steps: Shelf::default(),
            open: BTreeSet::new(),
            vars: BTreeMap::new(),
            signals: VecDeque::new(),
            last_seq: first.seq,
        }
    }

    /// Folds one event in. Events about steps that do not exist change nothing but the position.
    pub fn evolve(&mut self, envelope: &Envelope) {
        self.last_seq = envelope.seq;
        match &envelope.event {
            Event::RunStarted(_) => {}
            Event::StepSkipped { step, output } => {
                self.close(step, StepStatus::Skipped, envelope).output = *output;
            }
            Event::StepOpened { step, activity } => self.open(step, activity, envelope),
            Event::StepCompleted {
                step,
                output,
                grant,
            } => {
                let state = self.close(step, StepStatus::Completed, envelope);
                state.output = *output;
                state.failure = None;
                take_grant(state, grant.as_ref(), &envelope.actor);
            }
            Event::AttemptFailed {
                step,
                attempt,
                failure,
                retry_at,
                grant,
            } => self.touch(step, envelope, |state| {
                state.attempt = attempt + 1;
                state.failure = Some(failure.clone());
                state.retry_at = Some(*retry_at);
                take_grant(state, grant.as_ref(), &envelope.actor);
            }),
            Event::LeaseExpired {
                step,
                grant: _,
                crash_count,
                retry_at,
            } => self.touch(step, envelope, |state| {
                state.crashes = *crash_count;
                state.retry_at = Some(*retry_at);
            }),
            Event::StepFailed {
                step,
                failure,
                handled,
                grant,
            } => {
                self.fail(step, failure, *handled, envelope);
                self.touch(step, envelope, |state| {
                    take_grant(state, grant.as_ref(), &envelope.actor)
                });
            }
            Event::StepCancelled { step } => {
                self.close(step, StepStatus::Cancelled, envelope);
                self.around(step, |state| state.left_inside += 1);
            }
            Event::ReviewDecided {
                step,
                review: _,
                verdict,
                comment: _,
            } => self.touch(step, envelope, |state| {
                use crate::definition::model::OnExpiry;
                use crate::event::Verdict;
                state.escalated = match verdict {
                    Verdict::Expired(OnExpiry::Escalate) => true,
                    Verdict::Expired(OnExpiry::Fail | OnExpiry::Approve | OnExpiry::Reject)
                    | Verdict::Approved { .. }
                    | Verdict::Rejected => false,
                };
            }),
            Event::SignalReceived { name, payload } => {
                self.signals.push_back(KeptSignal {
                    name: name.clone(),
                    payload: *payload,
                });
            }
            Event::SignalConsumed { step, name } => {
                if let Some(oldest) = self.signals.iter().position(|signal| signal.name == *name) {
                    self.signals.remove(oldest);
                }
                self.touch(step, envelope, |_| {});
            }
            Event::ItemsSpawned { step, from: _, to } => self.touch(step, envelope, |state| {
                state.join.spawned = *to;
                state.retry_at = None;
            }),
            Event::ItemsCancelled { step, from: _, to } => {
                self.touch(step, envelope, |s| s.join.cancelled = *to)
            }
            Event::JoinProgressed {
                step,
                closed,
                failed,
            } => self.touch(step, envelope, |state| {
                state.join.closed = *closed;
                state.join.failed = *failed;
            }),
            Event::VariableSet { name, value } => {
                self.vars.insert(name.clone(), *value);
            }
            Event::CheckpointReached { step: _, name: _ } => {}
            Event::JournalRecorded {
                step,
                name,
                input_digest,
                output,
            } => {
                self.journal(step, name, input_digest, Some(*output), envelope);
            }
            Event::JournalRequested {
                step,
                name,
                input_digest,
            } => {
                self.journal(step, name, input_digest, None, envelope);
            }
            Event::StepParked { step, grant } => self.touch(step, envelope, |state| {
                state.parked = true;
                take_grant(state, Some(grant), &envelope.actor);
            }),
            Event::StepResumed { step } => self.touch(step, envelope, |state| state.parked = false),
            Event::StepTimedOut { step } => {
                self.touch(step, envelope, |state| state.timed_out = true)
            }
            Event::RunCancelRequested { reason } => {
                self.status = RunStatus::Cancelling;
                self.cancel_reason = Some(reason.clone());
            }
            Event::RunReturning { output } => self.returning = Some(Returning { output: *output }),
            Event::RunCompleted { output } => {
                self.output = *output;
                self.end(RunStatus::Completed, envelope);
            }
            Event::RunFailed { failure } => {
                self.failure = Some(failure.clone());
                self.end(RunStatus::Failed, envelope);
            }
            Event::RunCancelled { reason } => {
                self.cancel_reason = Some(reason.clone());
                self.end(RunStatus::Cancelled, envelope);
            }
        }
    }

    fn open(&mut self, step: &StepKey, activity: &Activity, envelope: &Envelope) {
        let mut state = StepState::new(step.clone(), envelope.at, envelope.seq);
        state.activity = Some(activity.clone());
        self.steps.put(state);
        self.open.insert(step.clone());
    }

    /// Steps that are over at once (a `set`, a skipped one) have no `StepOpened`.
    fn close(&mut self, step: &StepKey, status: StepStatus, envelope: &Envelope) -> &mut StepState {
        self.open.remove(step);
        if self.steps.get(step).is_none() {
            self.steps
                .put(StepState::new(step.clone(), envelope.at, envelope.seq));
        }
        let state = self.steps.get_mut(step).expect("it was just put there");
        state.status = status;
        state.activity = None;
        state.parked = false;
        state.retry_at = None;
        state.closed_at = Some(envelope.at);
        state.last_seq = envelope.seq;
        state
    }

    fn fail(&mut self, step: &StepKey, failure: &Failure, handled: bool, envelope: &Envelope) {
        let status = if handled {
            StepStatus::Absorbed
        } else {
            StepStatus::Failed
        };
        self.close(step, status, envelope).failure = Some(failure.clone());
        if !handled {
            self.around(step, |state| state.failed_inside += 1);
        }
    }

    /// Changes the step directly around another one.
    fn around(&mut self, step: &StepKey, change: impl FnOnce(&mut StepState)) {
        let Some((path, _)) = step.path.rsplit_once('/') else {
            return;
        };
        if let Some(state) = self.steps.get_mut(&StepKey {
            path: path.to_owned(),
            epoch: step.epoch,
        }) {
            change(state);
        }
    }

    fn touch(&mut self, step: &StepKey, envelope: &Envelope, change: impl FnOnce(&mut StepState)) {
        if let Some(state) = self.steps.get_mut(step) {
            state.last_seq = envelope.seq;
            change(state);
        }
    }

    fn journal(
        &mut self,
        step: &StepKey,
        name: &str,
        input_digest: &[u8; 32],
        recorded: Option<PayloadRef>,
        envelope: &Envelope,
    ) {
        let record = JournalRecord {
            name: name.to_owned(),
            input_digest: *input_digest,
            recorded,
        };
        self.touch(step, envelope, |state| state.journal.put(record));
    }

    fn end(&mut self, status: RunStatus, envelope: &Envelope) {
        self.status = status;
        self.closed_at = Some(envelope.at);
        self.signals.clear();
    }
}

/// Only a worker's own report counts as reported: a lease that the controller ended is lost to a late report.
fn take_grant(state: &mut StepState, grant: Option<&Grant>, actor: &Actor) {
    if let (Some(grant), Actor::Worker(_)) = (grant, actor) {
        state.reported = Some(grant.clone());
    }
}
