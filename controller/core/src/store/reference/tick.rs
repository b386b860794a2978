//! A tick in memory.

use super::State;
use crate::store::tick::{Attendance, Found, LineKey, Revisions, Sought};
use crate::time::Timestamp;

impl State {
    pub(super) fn tick(&self, sought: &Sought) -> Found {
        let until = self.now.plus(sought.ahead);
        let first = |instants: &mut dyn Iterator<Item = Timestamp>| {
            instants.filter(|at| *at <= until).min()
        };
        let is_ready = |line: &&LineKey| {
            self.tasks.values().any(|task| {
                task.is_ready(self.now)
                    && task.new.namespace == line.namespace
                    && task.new.capability == line.capability
            })
        };
        Found {
            now: self.now,
            task_due: first(&mut self.tasks.values().filter_map(|task| task.due_at())),
            timer_due: first(&mut self.timers.values().map(|timer| timer.at)),
            mail_lies: self
                .mail
                .values()
                .any(|(sent, _)| sent.plus(sought.mail_age) <= self.now),
            ready: sought.lines.iter().filter(is_ready).cloned().collect(),
            // Nobody changes identities or contracts here.
            revisions: Revisions::default(),
            // Nobody signs in here, so that there may always be another.
            others: 1,
            attendance: Attendance::Unasked,
        }
    }
}
