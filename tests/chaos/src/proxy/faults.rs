//! What is done to which call.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The controller never sees it.
    LoseRequest,
    /// The controller answers it, and the worker never learns.
    LoseAnswer,
    /// It reaches the controller this much later.
    DelayRequest(Duration),
    /// The answer reaches the worker this much later.
    DelayAnswer(Duration),
    /// It reaches the controller so many times, one after the other; the worker gets the last answer.
    Repeat(u32),
}

#[derive(Clone, Copy, Debug)]
struct Rule {
    every: u32,
    fault: Fault,
}

/// How often what happened to the calls of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls that the worker made.
    pub calls: u32,
    /// Calls that a fault happened to.
    pub faulted: u32,
}

#[derive(Debug, Default)]
struct State {
    rules: BTreeMap<String, Rule>,
    tallies: BTreeMap<String, Tally>,
}

/// The faults of a proxy, by method.
#[derive(Debug, Default)]
pub struct Faults(Mutex<State>);

impl Faults {
    /// From now on, this happens to every `every`-th call of a method (`LeaseTasks`), counted from its first ever.
    pub fn set(&self, method: &str, every: u32, fault: Fault) {
        let rule = Rule {
            every: every.max(1),
            fault,
        };
        self.lock().rules.insert(method.to_owned(), rule);
    }

    /// From now on nothing happens to any call.
    pub fn clear(&self) {
        self.lock().rules.clear();
    }

    /// What happened to the calls of a method so far.
    pub fn tally(&self, method: &str) -> Tally {
        self.lock().tallies.get(method).copied().unwrap_or_default()
    }

    /// Counts a call of this path (`/package.Service/Method`) and says what happens to it.
    pub(super) fn next(&self, path: &str) -> Option<Fault> {
        let method = path.rsplit('/').next().unwrap_or_default();
        let mut state = self.lock();
        let rule = state.rules.get(method).copied();
        let tally = state.tallies.entry(method.to_owned()).or_default();
        tally.calls += 1;
        let fault = rule.filter(|rule| tally.calls.is_multiple_of(rule.every))?;
        tally.faulted += 1;
        Some(fault.fault)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each critical section leaves valid maps behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_call_of_a_method_is_hit_and_no_other_method() {
        let faults = Faults::default();
        faults.set("ReportTasks", 3, Fault::LoseAnswer);
        let hit = |path| faults.next(path).is_some();
        let hits: Vec<bool> = (0..6).map(|_| hit("/a.v1.Workers/ReportTasks")).collect();
        assert_eq!(hits, [false, false, true, false, false, true]);
        assert!(!hit("/a.v1.Workers/LeaseTasks"));
        let tally = faults.tally("ReportTasks");
        assert_eq!((tally.calls, tally.faulted), (6, 2));
    }
}
