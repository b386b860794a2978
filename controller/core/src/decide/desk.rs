//! The desk: a copy of the run on which a decision is worked out.
//!
//! Everything that a command does goes through [`Desk::emit`]: the event is numbered, folded into the copy and kept
//! for the decision. What follows from it is queued as [`Work`] and done by `advance`, in order, so that the depth of
//! the call stack does not depend on the length of the workflow.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use crate::decide::command::{Command, Mail, MailBody, TimerPurpose};
use crate::decide::decision::{Decided, Decision, Inputs, Needs, Rejection};
use crate::decide::merge;
use crate::definition::plan::{NodeId, Plan};
use crate::event::{Actor, Envelope, Event, StepKey, TraceContext};
use crate::failure::Failure;
use crate::ids::{MailId, PayloadId, RunId, TimerId};
use crate::payload::NewPayload;
use crate::run::{Run, StepState};
use crate::store::{JoinKey, TimerOp};
use crate::time::Timestamp;

/// Something that an event leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// The node's turn has come.
    Open(NodeId),
    /// The step has closed; its surroundings must hear of it.
    Closed(StepKey),
}

/// Why a step cannot go on.
#[derive(Debug)]
pub(super) enum Halt {
    /// The step fails.
    Fail(Box<Failure>),
    /// The command is rejected.
    Reject(Rejection),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Halt::Fail(Box::new(failure))
    }
}

impl From<Box<Failure>> for Halt {
    fn from(failure: Box<Failure>) -> Self {
        Halt::Fail(failure)
    }
}

impl From<Rejection> for Halt {
    fn from(rejection: Rejection) -> Self {
        Halt::Reject(rejection)
    }
}

pub(super) struct Desk<'a> {
    pub(super) run: Run,
    pub(super) plan: &'a Plan,
    pub(super) inputs: &'a Inputs,
    pub(super) decision: Decision,
    /// Payloads that are only just coming into being, parsed when first looked at.
    pub(super) fresh: BTreeMap<PayloadId, Arc<Value>>,
    /// Payloads made by this decision so far.
    pub(super) made: u32,
    pub(super) needs: Needs,
    actor: Actor,
    trace: Option<TraceContext>,
    cause: Option<u64>,
    work: VecDeque<(Work, Option<u64>)>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(run: Run, plan: &'a Plan, command: &Command, inputs: &'a Inputs) -> Self {
        let trace = command.trace.or(run.origin.trace);
        Self {
            run,
            plan,
            inputs,
            decision: Decision::default(),
            fresh: BTreeMap::new(),
            made: 0,
            needs: Needs::default(),
            actor: command.actor.clone(),
            trace,
            cause: None,
            work: VecDeque::new(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inputs.now
    }

    pub(super) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The events that follow are because of this one.
    pub(super) fn because_of(&mut self, seq: Option<u64>) {
        self.cause = seq;
    }

    /// Numbers an event, folds it in and keeps it. Returns its `seq`.
    pub(super) fn emit(&mut self, event: Event) -> u64 {
        let envelope = self.envelope(self.run.last_seq + 1, event);
        self.run.evolve(&envelope);
        self.decision.events.push(envelope);
        self.run.last_seq
    }

    pub(super) fn envelope(&self, seq: u64, event: Event) -> Envelope {
        Envelope {
            seq,
            at: self.inputs.now,
            actor: self.actor.clone(),
            cause: self.cause,
            trace_id: self.trace.map(|trace| trace.trace_id),
            event,
        }
    }

    /// The same, and hears what follows from a closed step.
    pub(super) fn emit_closing(&mut self, step: &StepKey, event: Event) {
        let seq = self.emit(event);
        self.work.push_back((Work::Closed(step.clone()), Some(seq)));
    }

    /// Queues work because of the event being handled.
    pub(super) fn then(&mut self, work: Work) {
        self.work.push_back((work, self.cause));
    }

    pub(super) fn next_work(&mut self) -> Option<Work> {
        let (work, cause) = self.work.pop_front()?;
        self.cause = cause;
        Some(work)
    }

    /// Follows all that the events so far lead to, and closes the desk.
    pub(super) fn finish(mut self) -> Result<Decided, Rejection> {
        self.advance()?;
        if self.needs != Needs::default() {
            return Err(Rejection::Needs(Box::new(self.needs)));
        }
        merge::tidy(&mut self.decision, self.inputs.now, &self.run);
        Ok(Decided {
            decision: self.decision,
            run: self.run,
        })
    }

    /// An open step, or the reason to leave a late message alone.
    pub(super) fn open_step(&self, step: &StepKey) -> Result<&StepState, Rejection> {
        match self.run.step(step) {
            Some(state) if state.is_open() => Ok(state),
            Some(_) => Err(Rejection::Stale("the step is closed")),
            None => Err(Rejection::Stale("the step does not exist")),
        }
    }

    /// Takes in a payload that came with the command.
    pub(super) fn take(&mut self, payload: &NewPayload) -> Result<(), Box<Failure>> {
        self.check_size(payload.reference.bytes as usize)?;
        self.decision.payloads.push(payload.clone());
        Ok(())
    }

    pub(super) fn set_timer(&mut self, step: &StepKey, purpose: TimerPurpose, at: Timestamp) {
        let timer = TimerId::of_step(self.run.id, &step.to_string(), purpose.as_str());
        let (run, root) = (self.run.id, self.run.origin.root);
        self.decision.timers.push(TimerOp::Set {
            timer,
            run,
            root,
            step: step.clone(),
            purpose,
            at,
        });
    }

    pub(super) fn clear_timer(&mut self, step: &StepKey, purpose: TimerPurpose) {
        let timer = TimerId::of_step(self.run.id, &step.to_string(), purpose.as_str());
        self.decision.timers.push(TimerOp::Clear { timer });
    }

    pub(super) fn send(&mut self, to: RunId, occasion: &str, n: u64, body: MailBody) {
        let id = MailId::of(to, occasion, n);
        self.decision.mail.push(Mail {
            id,
            to,
            root: self.run.origin.root,
            from: self.run.id,
            body,
        });
    }

    /// A note to this run itself, to go on in another commit.
    pub(super) fn continue_later(&mut self) {
        self.send(
            self.run.id,
            "continue",
            self.run.last_seq,
            MailBody::Continue,
        );
    }

    pub(super) fn join_key(&self, step: &StepKey) -> JoinKey {
        JoinKey {
            run: self.run.id,
            root: self.run.origin.root,
            step: step.clone(),
        }
    }
}
