//! The failure that a `catch` handles, as expressions see it.

use serde_json::{Value, json};

use crate::decide::desk::Desk;
use crate::definition::plan::{NodeId, Slot};
use crate::failure::FailureClass;
use crate::run::{StepState, StepStatus};

impl Desk<'_> {
    /// The failure that the `catch` around a node handles, as expressions see it.
    pub(super) fn caught(&self, at: NodeId) -> Value {
        let mut node = self.plan.node(at);
        while let Some(parent) = node.parent {
            if node.slot == Slot::Catch {
                return self
                    .first_failed(parent, Slot::TryBody)
                    .map_or(Value::Null, |failed| self.error_of(failed));
            }
            node = self.plan.node(parent);
        }
        Value::Null
    }

    /// The step of a list that failed for good.
    pub(super) fn first_failed(&self, parent: NodeId, slot: Slot) -> Option<&StepState> {
        let list = self.plan.list(Some(parent), slot);
        let states = list
            .iter()
            .filter_map(|id| self.run.step(&self.plan.node(*id).key));
        states
            .filter(|state| state.status == StepStatus::Failed)
            .min_by_key(|state| state.last_seq)
    }

    fn error_of(&self, failed: &StepState) -> Value {
        let Some(failure) = &failed.failure else {
            return Value::Null;
        };
        let class = match failure.class {
            FailureClass::Transient => "transient",
            FailureClass::Recoverable => "recoverable",
            FailureClass::Fatal => "fatal",
            FailureClass::Unknown => "unknown",
        };
        json!({ "code": failure.code, "message": failure.message, "class": class, "step": self.origin_of(failed) })
    }

    /// The id of the innermost step that a failure started from.
    fn origin_of(&self, failed: &StepState) -> String {
        let mut path = failed.key.path.clone();
        while let Some(node) = self.plan.at(&path) {
            // What fails later replaces what failed before: a `finally` its `catch`, a `catch` its body.
            let inside = node
                .slots()
                .rev()
                .find_map(|slot| self.first_failed(node.id, slot));
            match inside {
                Some(state) => path.clone_from(&state.key.path),
                None => break,
            }
        }
        path.rsplit('/').next().unwrap_or_default().to_owned()
    }
}
