//! What the client was promised: every start that was answered.

use std::sync::{Mutex, PoisonError};

/// A run that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub run_id: String,
    /// The client's key for it, which names its orders at the target.
    pub key: String,
    /// Orders that the target must have carried out when it is completed, by step.
    pub steps: &'static [&'static str],
}

/// The client's log. Written when an answer came, and never before.
#[derive(Debug, Default)]
pub struct ClientLog(Mutex<Vec<Accepted>>);

impl ClientLog {
    /// Notes an answer.
    pub fn note(&self, accepted: Accepted) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(accepted);
    }

    /// All answers so far.
    pub fn accepted(&self) -> Vec<Accepted> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
