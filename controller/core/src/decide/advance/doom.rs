//! What must end because something around it is ending.

use crate::decide::decision::Rejection;
use crate::decide::desk::Desk;
use crate::definition::model::StepKind;
use crate::definition::plan::{NodeId, Slot};
use crate::event::{Activity, StepKey};
use crate::store::RunStatus;

impl Desk<'_> {
    /// Must this step end, because something around it is ending? See the module's rule 2.
    pub(super) fn is_doomed(&self, node: NodeId) -> bool {
        let mut node = self.plan.node(node);
        loop {
            match (node.slot, node.parent) {
                (Slot::Finally, _) => return false,
                (Slot::Body | Slot::ItemBody, _) | (_, None) => {
                    return self.run.status == RunStatus::Cancelling
                        || self.run.returning.is_some();
                }
                (
                    Slot::Member | Slot::Case(_) | Slot::Default | Slot::TryBody | Slot::Catch,
                    Some(parent),
                ) => {
                    if self.is_ending_itself(parent) {
                        return true;
                    }
                    node = self.plan.node(parent);
                }
            }
        }
    }

    /// Is this block ending, by itself or because something around it is?
    pub(super) fn is_ending(&self, block: NodeId) -> bool {
        self.is_ending_itself(block) || self.is_doomed(block)
    }

    fn is_ending_itself(&self, block: NodeId) -> bool {
        let node = self.plan.node(block);
        let Some(state) = self.run.step(&node.key) else {
            return false;
        };
        if state.timed_out {
            return true;
        }
        let StepKind::Parallel { .. } = node.step.kind else {
            return false;
        };
        let returned = |member: &NodeId| {
            let member = self.plan.node(*member);
            let closed = self
                .run
                .step(&member.key)
                .is_some_and(|state| !state.is_open());
            closed && matches!(member.step.kind, StepKind::Return { .. })
        };
        let has_returned = || {
            self.run.returning.is_some()
                && self
                    .plan
                    .list(Some(block), Slot::Member)
                    .iter()
                    .any(returned)
        };
        state.failed_inside > 0 || state.left_inside > 0 || has_returned()
    }

    /// Cancels every open step that does work and is doomed. Blocks follow as their insides close.
    pub(in crate::decide) fn sweep(&mut self) -> Result<(), Rejection> {
        let open: Vec<StepKey> = self.run.open.iter().cloned().collect();
        for step in open {
            let Some(state) = self.run.step(&step).filter(|state| state.is_open()) else {
                continue;
            };
            let Some(activity) = &state.activity else {
                continue;
            };
            // Operations of a journal end with the step whose journal it is.
            let Some(node) = self.plan.at(&step.path) else {
                continue;
            };
            let timed_out = state.timed_out;
            match activity {
                Activity::Parallel | Activity::Switch { .. } | Activity::Try => {}
                Activity::Foreach(_) | Activity::Child { .. } => {
                    if timed_out || self.is_doomed(node.id) {
                        self.wind_down(&step)?;
                    }
                }
                Activity::Call(_)
                | Activity::Review(_)
                | Activity::Sleep { .. }
                | Activity::Wait { .. } => {
                    if self.is_doomed(node.id) {
                        self.cancel(&step);
                    }
                }
            }
        }
        Ok(())
    }
}
