//! The loop that follows events to where nothing moves any more.

use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Halt, Work};
use crate::definition::model::StepKind;
use crate::definition::plan::Slot;
use crate::event::StepKey;
use crate::run::StepStatus;

impl Desk<'_> {
    /// Does all queued work, and what follows from it.
    pub(in crate::decide) fn advance(&mut self) -> Result<(), Rejection> {
        while let Some(work) = self.next_work() {
            if self.run.is_closed() {
                return Ok(());
            }
            match work {
                Work::Open(node) => self.open(node)?,
                Work::Closed(step) => self.closed(&step)?,
            }
        }
        Ok(())
    }

    /// Puts a missing input aside, so that one rejection asks for everything that can be known to be missing.
    pub(super) fn put_aside(&mut self, result: Result<(), Rejection>) -> Result<(), Rejection> {
        match result {
            Err(Rejection::Needs(needs)) => {
                self.needs.payloads.extend(needs.payloads);
                self.needs.joins.extend(needs.joins);
                self.needs.workflows.extend(needs.workflows);
                Ok(())
            }
            other => other,
        }
    }

    /// Lets a step fail when what it needed to do cannot be done.
    pub(in crate::decide) fn or_fail(
        &mut self,
        step: &StepKey,
        result: Result<(), Halt>,
    ) -> Result<(), Rejection> {
        match result {
            Ok(()) => Ok(()),
            Err(Halt::Fail(failure)) => {
                self.fail(step, *failure, None);
                Ok(())
            }
            Err(Halt::Reject(rejection)) => Err(rejection),
        }
    }

    fn closed(&mut self, step: &StepKey) -> Result<(), Rejection> {
        let Some(node) = self.plan.at(&step.path) else {
            self.operation_closed(step);
            return Ok(());
        };
        let Some(state) = self.run.step(step) else {
            return Ok(());
        };
        let (status, output) = (state.status, state.output);
        if let (Slot::Member, Some(parallel)) = (node.slot, node.parent) {
            return self.settle_parallel(parallel, status);
        }
        match status {
            StepStatus::Open => Ok(()),
            StepStatus::Failed => self.sequence_failed(node.parent, node.slot),
            StepStatus::Cancelled => self.sequence_left(node.parent, node.slot),
            StepStatus::Completed | StepStatus::Skipped | StepStatus::Absorbed => {
                let returned = status == StepStatus::Completed
                    && matches!(node.step.kind, StepKind::Return { .. });
                if returned || self.is_doomed(node.id) {
                    return self.sequence_left(node.parent, node.slot);
                }
                match node.next {
                    Some(next) => {
                        self.then(Work::Open(next));
                        Ok(())
                    }
                    None => self.sequence_done(node.parent, node.slot, output),
                }
            }
        }
    }
}
