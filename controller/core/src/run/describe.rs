//! What an open step waits for, in a sentence for people.

use crate::event::{Activity, StepKey};
use crate::ids::RunId;
use crate::run::state::Run;
use crate::run::step::StepState;

impl Run {
    /// What a step waits for; `None` when it is not open.
    #[must_use]
    pub fn waiting_for(&self, step: &StepKey) -> Option<String> {
        let state = self.steps.get(step)?;
        let text = match state.activity.as_ref()? {
            Activity::Call(call) => self.waiting_call(state, &call.capability),
            Activity::Review(asked) => {
                let escalated = if state.escalated {
                    " (expired, escalated)"
                } else {
                    ""
                };
                format!("a decision on {}{escalated}", asked.review)
            }
            Activity::Sleep { until } => format!("{until}"),
            Activity::Wait {
                signal,
                until: None,
            } => format!("signal `{signal}`"),
            Activity::Wait {
                signal,
                until: Some(until),
            } => format!("signal `{signal}`, until {until}"),
            Activity::Parallel | Activity::Switch { .. } | Activity::Try => {
                self.waiting_block(step)
            }
            Activity::Foreach(fanout) => {
                format!("items: {} of {} closed", state.join.closed, fanout.total)
            }
            Activity::Child { workflow, .. } => match state.retry_at {
                Some(at) => format!(
                    "attempt {} of workflow `{workflow}`, at {at}",
                    state.attempt
                ),
                None => {
                    let newest = state.join.spawned.saturating_sub(1);
                    let run = RunId::child(self.id, &state.key.to_string(), newest);
                    format!("{run} of workflow `{workflow}`")
                }
            },
        };
        Some(text)
    }

    fn waiting_call(&self, state: &StepState, capability: &str) -> String {
        if state.parked {
            return format!(
                "its operations: {}",
                self.open_inside(&state.key).join(", ")
            );
        }
        match (state.retry_at, &state.failure) {
            (Some(at), Some(failure)) => {
                format!("attempt {} at {at}, after {}", state.attempt, failure.code)
            }
            (Some(at), None) => format!("its lease expired; offered again at {at}"),
            (None, _) => format!("a worker with `{capability}` to take or report it"),
        }
    }

    fn waiting_block(&self, step: &StepKey) -> String {
        let inside = self.open_inside(step).join(", ");
        if self.steps.get(step).is_some_and(|state| state.timed_out) {
            return format!("clean-up after its time was over: {inside}");
        }
        format!("steps inside it: {inside}")
    }

    fn open_inside(&self, step: &StepKey) -> Vec<&str> {
        let prefix = format!("{}/", step.path);
        let inside = self.open.range(
            StepKey {
                path: prefix.clone(),
                epoch: 0,
            }..,
        );
        let inside = inside
            .take_while(|key| key.path.starts_with(&prefix))
            .map(|key| &key.path[prefix.len()..]);
        inside.filter(|rest| !rest.contains('/')).collect()
    }
}
