//! The journal's pure state: what is completed, what was begun in this grant, what is waited for.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::operation::{Digest, Entry, Operation, Outcome};
use crate::{Failure, Sent, code};

/// A defect in how a task uses its journal. It fails the task: its code would not do the same thing twice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The name was used before in this task; a loop must put its index or key into the name.
    #[error(
        "journal name {name:?} is used twice in one task; give each operation a name of its own, in loops with the item's key"
    )]
    NameReused {
        /// The name.
        name: String,
    },
    /// The journal holds an operation of this name with another kind or input, from an earlier grant.
    #[error(
        "journal operation {name:?} was recorded with another kind or input; a task must ask for the same things on every grant"
    )]
    InputChanged {
        /// The name.
        name: String,
    },
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let code = match error {
            JournalError::NameReused { .. } => code::JOURNAL_NAME_REUSED,
            JournalError::InputChanged { .. } => code::JOURNAL_INPUT_CHANGED,
        };
        Failure::fatal(code, error.to_string()).sent(Sent::No)
    }
}

/// What [`Journal::begin`] found.
#[derive(Debug, PartialEq)]
pub(crate) enum Begun {
    /// It was completed before; this is how it ended.
    Completed(Outcome),
    /// It is to be done.
    Fresh,
}

#[derive(Debug, Default)]
pub(crate) struct Journal {
    completed: HashMap<String, (Digest, Outcome)>,
    begun: HashSet<String>,
    waiting: BTreeMap<String, Operation>,
    steps_in_flight: usize,
}

impl Journal {
    pub(crate) fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self {
            completed: entries
                .into_iter()
                .map(|entry| (entry.name, (entry.digest, entry.outcome)))
                .collect(),
            ..Self::default()
        }
    }

    /// Begins the operation `name`.
    pub(crate) fn begin(&mut self, name: &str, digest: Digest) -> Result<Begun, JournalError> {
        if !self.begun.insert(name.to_owned()) {
            return Err(JournalError::NameReused { name: name.into() });
        }
        match self.completed.get(name) {
            Some((recorded, _)) if *recorded != digest => {
                Err(JournalError::InputChanged { name: name.into() })
            }
            Some((_, outcome)) => Ok(Begun::Completed(outcome.clone())),
            None => Ok(Begun::Fresh),
        }
    }

    pub(crate) fn step_started(&mut self) {
        self.steps_in_flight += 1;
    }

    pub(crate) fn step_ended(&mut self) {
        self.steps_in_flight -= 1;
    }

    pub(crate) fn wait(&mut self, name: &str, operation: Operation) {
        self.waiting.insert(name.to_owned(), operation);
    }

    pub(crate) fn stop_waiting(&mut self, name: &str) {
        self.waiting.remove(name);
    }

    /// The operations to park on, if the task can do nothing but wait. To be asked when its future is pending.
    pub(crate) fn parkable(&self) -> Option<Vec<(String, Operation)>> {
        if self.steps_in_flight > 0 || self.waiting.is_empty() {
            return None;
        }
        let waiting = self.waiting.iter();
        Some(
            waiting
                .map(|(name, op)| (name.clone(), op.clone()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::journal::operation::step_digest;

    fn nap() -> Operation {
        Operation::SleepFor(Duration::from_secs(1))
    }

    #[test]
    fn a_completed_operation_is_given_back() {
        let mut journal = Journal::new([Entry {
            name: "charge".into(),
            digest: step_digest(),
            outcome: Ok(json!(7)),
        }]);
        assert_eq!(
            journal.begin("charge", step_digest()),
            Ok(Begun::Completed(Ok(json!(7))))
        );
        assert_eq!(journal.begin("mail", step_digest()), Ok(Begun::Fresh));
    }

    #[test]
    fn a_name_is_used_once() {
        let mut journal = Journal::default();
        assert_eq!(journal.begin("mail", step_digest()), Ok(Begun::Fresh));
        assert_eq!(
            journal.begin("mail", step_digest()),
            Err(JournalError::NameReused {
                name: "mail".into()
            })
        );
    }

    #[test]
    fn a_recorded_name_with_another_input_is_refused() {
        let mut journal = Journal::new([Entry {
            name: "nap".into(),
            digest: step_digest(),
            outcome: Ok(json!(null)),
        }]);
        assert_eq!(
            journal.begin("nap", nap().digest()),
            Err(JournalError::InputChanged { name: "nap".into() })
        );
    }

    #[test]
    fn a_task_parks_only_when_it_waits_and_no_step_is_in_flight() {
        let mut journal = Journal::default();
        assert_eq!(journal.parkable(), None);
        journal.step_started();
        journal.wait("nap", nap());
        assert_eq!(journal.parkable(), None);
        journal.step_ended();
        assert_eq!(journal.parkable(), Some(vec![("nap".into(), nap())]));
        journal.stop_waiting("nap");
        assert_eq!(journal.parkable(), None);
    }
}
