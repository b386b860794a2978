//! Operations: what a task has the engine do for it, while it holds no slot.

use crate::decide::command::{Operation, OperationRequest};
use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt};
use crate::definition::model::{OnExpiry, OnReject, Retry, Timeouts};
use crate::event::{Event, Grant, StepKey};
use crate::ids::TaskId;
use crate::task::TaskOp;

use super::call::CallTerms;
use super::review::ReviewTerms;

const NAME_BYTES_MAX: usize = 128;

impl Desk<'_> {
    /// Parks a task on its operations. It is offered again when one of them closes, or at once if one has closed
    /// already: a worker names only operations whose result it does not have.
    pub(in crate::decide) fn park(
        &mut self,
        step: &StepKey,
        grant: &Grant,
        operations: &[Operation],
    ) -> Result<(), Rejection> {
        let task = TaskId::of_step(self.run.id, &step.to_string());
        let seq = self.emit(Event::StepParked {
            step: step.clone(),
            grant: grant.clone(),
        });
        self.because_of(Some(seq));
        self.decision.tasks.push(TaskOp::Park { task });
        let mut news = operations.is_empty();
        for operation in operations {
            if self.is_new_operation(step, &operation.name, &operation.input_digest)? {
                self.request(step, operation)?;
            } else {
                let key = step.operation(&operation.name);
                news |= self.run.operation_result(&key).is_some()
                    || self.is_recorded(step, &operation.name);
            }
        }
        if news {
            self.resume(step);
        }
        Ok(())
    }

    /// Is this a new name in the journal? The same name with the same digest is a repetition; with another one it is
    /// a mistake of the worker's.
    pub(in crate::decide) fn is_new_operation(
        &self,
        step: &StepKey,
        name: &str,
        input_digest: &[u8; 32],
    ) -> Result<bool, Rejection> {
        let conflict = |problem| Rejection::JournalConflict {
            step: step.clone(),
            name: name.to_owned(),
            problem,
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '-');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(allowed) {
            return Err(conflict("a name is 1 to 128 of A-Z a-z 0-9 _ . : -"));
        }
        let Some(state) = self.run.step(step) else {
            return Ok(true);
        };
        if let Some(record) = state.journal.get(name) {
            if record.input_digest != *input_digest {
                return Err(conflict(
                    "the journal holds it with another input; key the names in loops",
                ));
            }
            return Ok(false);
        }
        let max = u64::from(self.inputs.limits.journal_operations_max);
        if state.journal.len() as u64 >= max {
            return Err(Rejection::LimitExceeded {
                limit: "journal_operations_max",
                max,
                actual: max + 1,
            });
        }
        Ok(true)
    }

    /// Is this step an operation of a task's journal?
    pub(in crate::decide) fn is_operation(&self, step: &StepKey) -> bool {
        self.plan.at(&step.path).is_none()
    }

    fn is_recorded(&self, step: &StepKey, name: &str) -> bool {
        let record = self
            .run
            .step(step)
            .and_then(|state| state.journal.get(name));
        record.is_some_and(|record| record.recorded.is_some())
    }

    fn request(&mut self, step: &StepKey, operation: &Operation) -> Result<(), Rejection> {
        let seq = self.emit(Event::JournalRequested {
            step: step.clone(),
            name: operation.name.clone(),
            input_digest: operation.input_digest,
        });
        self.because_of(Some(seq));
        let key = step.operation(&operation.name);
        let result = self.open_operation(step, &key, &operation.request);
        self.or_fail(&key, result)
    }

    fn open_operation(
        &mut self,
        host: &StepKey,
        key: &StepKey,
        request: &OperationRequest,
    ) -> Result<(), Halt> {
        match request {
            OperationRequest::Call { capability, input } => {
                self.take(input)?;
                let priority = self
                    .plan
                    .at(&host.path)
                    .map_or(0, |node| node.step.priority);
                let terms = CallTerms {
                    retry: Retry::default(),
                    timeouts: Timeouts::default(),
                    priority,
                };
                self.open_call(key, capability, input.reference, terms)
            }
            OperationRequest::SleepUntil { at } => self.open_sleep(key, *at),
            OperationRequest::Sleep { span } => self.open_sleep(key, self.now().plus(*span)),
            OperationRequest::Review {
                title,
                show,
                edit,
                expires,
            } => {
                self.take(show)?;
                let (on_expiry, on_reject) = (OnExpiry::Fail, OnReject::Continue);
                let terms = ReviewTerms {
                    edit: *edit,
                    expires: *expires,
                    on_expiry,
                    on_reject,
                };
                self.open_review(key, title, show.reference, terms)
            }
            OperationRequest::WaitSignal { signal, timeout } => {
                self.open_wait(key, signal, timeout.map(|span| self.now().plus(span)))
            }
        }
    }

    /// An operation closed: its task is offered again, unless it is already.
    pub(super) fn operation_closed(&mut self, operation: &StepKey) {
        let Some((host, _)) = operation.path.rsplit_once('/') else {
            return;
        };
        let host = StepKey {
            path: host.to_owned(),
            epoch: operation.epoch,
        };
        if self
            .run
            .step(&host)
            .is_some_and(|state| state.is_open() && state.parked)
        {
            self.resume(&host);
        }
    }

    fn resume(&mut self, step: &StepKey) {
        let task = TaskId::of_step(self.run.id, &step.to_string());
        self.emit(Event::StepResumed { step: step.clone() });
        self.decision.tasks.push(TaskOp::Resume { task });
    }
}
