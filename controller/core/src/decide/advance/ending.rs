//! The end of a run.

use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt};
use crate::definition::model::StepKind;
use crate::event::{Entry, Event};
use crate::failure::{Failure, code};
use crate::payload::PayloadRef;
use crate::store::{JoinKey, JoinOp, RunStatus};

use super::sequence::Ended;

impl Desk<'_> {
    /// Every step of the run's own sequence is done.
    pub(super) fn body_done(&mut self, last: Option<PayloadRef>) -> Result<(), Rejection> {
        if self.run.status == RunStatus::Cancelling || self.run.returning.is_some() {
            self.body_left();
            return Ok(());
        }
        match self.run_output(last) {
            Ok(output) => self.complete_run(output),
            Err(Halt::Fail(failure)) => self.fail_run(*failure),
            Err(Halt::Reject(rejection)) => return self.put_aside(Err(rejection)),
        }
        Ok(())
    }

    fn run_output(&mut self, last: Option<PayloadRef>) -> Result<Option<PayloadRef>, Halt> {
        let plan = self.plan;
        let template = match &self.run.origin.entry {
            Entry::Workflow => match &plan.output {
                Some(template) => template,
                None => return Ok(None),
            },
            Entry::Item { path, .. } => match plan.at(path).map(|node| &node.step.kind) {
                Some(StepKind::Foreach(foreach)) => match &foreach.output {
                    Some(template) => template,
                    None => return Ok(last),
                },
                Some(_) | None => return Ok(last),
            },
        };
        self.produce(None, template)
    }

    /// The run's own sequence was left early: by a `return` or a cancellation.
    pub(super) fn body_left(&mut self) {
        match (self.run.status, self.run.returning) {
            (RunStatus::Running, Some(returning)) => self.complete_run(returning.output),
            (RunStatus::Running, None) => {
                self.fail_run(Failure::fatal(
                    code::CANCELLED,
                    "the steps ended without a result",
                ));
            }
            (
                RunStatus::Cancelling
                | RunStatus::Completed
                | RunStatus::Failed
                | RunStatus::Cancelled,
                _,
            ) => {
                self.cancel_run();
            }
        }
    }

    /// A step of the run's own sequence failed for good.
    pub(super) fn body_failed(&mut self, ended: Ended) {
        match ended {
            Ended::Failed(failure) if self.run.status == RunStatus::Running => {
                self.fail_run(failure)
            }
            Ended::Failed(_) | Ended::Done(_) | Ended::Left => self.body_left(),
        }
    }

    fn complete_run(&mut self, output: Option<PayloadRef>) {
        self.emit(Event::RunCompleted { output });
        self.tell_parent(output, None);
    }

    pub(in crate::decide) fn fail_run(&mut self, failure: Failure) {
        self.emit(Event::RunFailed {
            failure: failure.clone(),
        });
        self.tell_parent(None, Some(failure));
    }

    fn cancel_run(&mut self) {
        let reason = self.run.cancel_reason.clone().unwrap_or_default();
        self.emit(Event::RunCancelled {
            reason: reason.clone(),
        });
        self.tell_parent(None, Some(Failure::fatal(code::CANCELLED, reason)));
    }

    fn tell_parent(&mut self, output: Option<PayloadRef>, failure: Option<Failure>) {
        let origin = &self.run.origin;
        let Some(parent) = &origin.parent else { return };
        let key = JoinKey {
            run: parent.run,
            root: origin.root,
            step: parent.step.clone(),
        };
        let index = parent.index;
        self.decision.joins.push(JoinOp::ItemClosed {
            key,
            index,
            output,
            failure,
        });
    }
}
