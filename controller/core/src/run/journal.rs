//! The journal of a task: operations that are given back on the next grant instead of being run again.

use serde::{Deserialize, Serialize};

use crate::event::StepKey;
use crate::failure::Failure;
use crate::payload::PayloadRef;
use crate::run::shelf::Keyed;
use crate::run::state::Run;
use crate::run::step::StepStatus;

/// One operation, as the run remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalRecord {
    /// Unique in the task.
    pub name: String,
    /// SHA-256 of the operation's input, as the worker computed it.
    pub input_digest: [u8; 32],
    /// The result that the worker recorded. `None` when the engine carries the operation out: then the step
    /// `<task's step>/<name>` has the result.
    pub recorded: Option<PayloadRef>,
}

impl Keyed for JournalRecord {
    type Key = str;

    fn key(&self) -> &str {
        &self.name
    }
}

/// A completed operation, as it is given to a worker with a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Unique in the task.
    pub name: String,
    /// SHA-256 of the operation's input.
    pub input_digest: [u8; 32],
    /// How it ended. No payload means null.
    pub result: Result<Option<PayloadRef>, Failure>,
}

impl StepKey {
    /// The step that carries out an operation of this step's journal.
    #[must_use]
    pub fn operation(&self, name: &str) -> StepKey {
        StepKey {
            path: format!("{}/{name}", self.path),
            epoch: self.epoch,
        }
    }
}

impl Run {
    /// The completed operations of a step's task, by name. Open ones are left out.
    #[must_use]
    pub fn journal_of(&self, step: &StepKey) -> Vec<JournalEntry> {
        let Some(state) = self.steps.get(step) else {
            return Vec::new();
        };
        let entries = state.journal.iter().filter_map(|record| {
            let result = match record.recorded {
                Some(output) => Ok(Some(output)),
                None => self.operation_result(&step.operation(&record.name))?,
            };
            Some(JournalEntry {
                name: record.name.clone(),
                input_digest: record.input_digest,
                result,
            })
        });
        entries.collect()
    }

    /// How an operation ended; `None` while it is open.
    pub(crate) fn operation_result(
        &self,
        operation: &StepKey,
    ) -> Option<Result<Option<PayloadRef>, Failure>> {
        let state = self.steps.get(operation)?;
        match state.status {
            StepStatus::Open => None,
            StepStatus::Completed | StepStatus::Skipped => Some(Ok(state.output)),
            StepStatus::Failed | StepStatus::Absorbed | StepStatus::Cancelled => {
                let cancelled = || {
                    Failure::fatal(
                        crate::failure::code::CANCELLED,
                        "the operation was cancelled",
                    )
                };
                Some(Err(state.failure.clone().unwrap_or_else(cancelled)))
            }
        }
    }
}
