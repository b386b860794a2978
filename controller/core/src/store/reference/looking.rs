//! Everything in the store at once, for those who judge it from outside.

use super::ReferenceStore;
use crate::decide::command::Mail;
use crate::store::commit::RunHead;
use crate::store::join::JoinState;
use crate::store::ops::{DueTimer, JoinKey};
use crate::task::TaskRow;
use crate::time::Timestamp;

/// The rows that are there because something is still to happen, and the run rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// All runs, by id.
    pub runs: Vec<RunHead>,
    /// Tasks that are not gone, by id.
    pub tasks: Vec<TaskRow>,
    /// Timers that are set, by id.
    pub timers: Vec<DueTimer>,
    /// Mail that nobody has consumed, by id.
    pub mail: Vec<Mail>,
    /// Joins that are open, with the number of their items that closed.
    pub joins: Vec<(JoinKey, JoinState, usize)>,
}

impl ReferenceStore {
    /// Everything.
    #[must_use]
    pub fn rows(&self) -> Rows {
        let state = self.lock();
        let joins = state.joins.iter();
        Rows {
            runs: state.runs.values().map(|run| run.head.clone()).collect(),
            tasks: state.tasks.values().map(|task| task.row()).collect(),
            timers: state.timers.values().cloned().collect(),
            mail: state.mail.values().map(|(_, mail)| mail.clone()).collect(),
            joins: joins
                .map(|(key, (join, items))| (key.clone(), *join, items.len()))
                .collect(),
        }
    }

    /// Sets the manual clock, forward or backward.
    pub fn set_clock(&self, now: Timestamp) {
        self.lock().now = now;
    }
}
