//! How a list of steps ends: all done, left early, or failed.

use crate::decide::decision::Rejection;
use crate::decide::desk::{Desk, Work};
use crate::definition::plan::{Node, NodeId, Slot};
use crate::failure::Failure;
use crate::payload::PayloadRef;
use crate::run::StepStatus;

/// How a list of steps ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Every step let the next one pass; the output is the last step's.
    Done(Option<PayloadRef>),
    /// Some steps were cancelled or never began.
    Left,
    /// A step failed for good.
    Failed(Failure),
}

impl Desk<'_> {
    /// Begins the run's own sequence.
    pub(in crate::decide) fn enter(&mut self) -> Result<(), Rejection> {
        let Some((parent, slot)) = self.plan.entry(&self.run.origin.entry) else {
            return Ok(());
        };
        self.begin(parent, slot)
    }

    /// Begins a list of steps.
    pub(super) fn begin(&mut self, parent: Option<NodeId>, slot: Slot) -> Result<(), Rejection> {
        match self.plan.list(parent, slot).first() {
            Some(first) => {
                self.then(Work::Open(*first));
                Ok(())
            }
            None => self.sequence_done(parent, slot, None),
        }
    }

    /// The node's turn came, but it is doomed: its list ends here.
    pub(super) fn pass_over(&mut self, node: &Node) -> Result<(), Rejection> {
        match (node.slot, node.parent) {
            (Slot::Member, Some(parallel)) => self.settle_parallel(parallel, StepStatus::Cancelled),
            _ => self.sequence_left(node.parent, node.slot),
        }
    }

    pub(super) fn sequence_done(
        &mut self,
        parent: Option<NodeId>,
        slot: Slot,
        output: Option<PayloadRef>,
    ) -> Result<(), Rejection> {
        match (slot, parent) {
            (Slot::Body | Slot::ItemBody, _) | (_, None) => self.body_done(output),
            (Slot::Case(_) | Slot::Default, Some(switch)) => {
                self.close_block(switch, Ended::Done(output));
                Ok(())
            }
            (Slot::TryBody | Slot::Catch, Some(block)) => self.finally(block),
            (Slot::Finally, Some(block)) => {
                self.settle_try(block);
                Ok(())
            }
            (Slot::Member, Some(_)) => Ok(()),
        }
    }

    pub(super) fn sequence_left(
        &mut self,
        parent: Option<NodeId>,
        slot: Slot,
    ) -> Result<(), Rejection> {
        match (slot, parent) {
            (Slot::Body | Slot::ItemBody, _) | (_, None) => {
                self.body_left();
                Ok(())
            }
            (Slot::Case(_) | Slot::Default, Some(switch)) => {
                self.close_block(switch, Ended::Left);
                Ok(())
            }
            (Slot::TryBody | Slot::Catch, Some(block)) => self.finally(block),
            (Slot::Finally, Some(block)) => {
                self.settle_try(block);
                Ok(())
            }
            (Slot::Member, Some(_)) => Ok(()),
        }
    }

    pub(super) fn sequence_failed(
        &mut self,
        parent: Option<NodeId>,
        slot: Slot,
    ) -> Result<(), Rejection> {
        let ended = self.how_ended(parent, slot);
        match (slot, parent) {
            (Slot::Body | Slot::ItemBody, _) | (_, None) => {
                self.body_failed(ended);
                Ok(())
            }
            (Slot::Case(_) | Slot::Default, Some(switch)) => {
                self.close_block(switch, ended);
                Ok(())
            }
            (Slot::TryBody, Some(block)) => self.catch(block),
            (Slot::Catch, Some(block)) => self.finally(block),
            (Slot::Finally, Some(block)) => {
                self.settle_try(block);
                Ok(())
            }
            (Slot::Member, Some(_)) => Ok(()),
        }
    }

    /// Reads off the steps of a list how it ended.
    pub(super) fn how_ended(&self, parent: Option<NodeId>, slot: Slot) -> Ended {
        let mut output = None;
        for id in self.plan.list(parent, slot) {
            let Some(state) = self.run.step(&self.plan.node(*id).key) else {
                return Ended::Left;
            };
            match state.status {
                StepStatus::Completed | StepStatus::Skipped | StepStatus::Absorbed => {
                    output = state.output
                }
                StepStatus::Failed => {
                    let unknown =
                        || Failure::fatal(crate::failure::code::CANCELLED, "the step failed");
                    return Ended::Failed(state.failure.clone().unwrap_or_else(unknown));
                }
                StepStatus::Open | StepStatus::Cancelled => return Ended::Left,
            }
        }
        Ended::Done(output)
    }
}
