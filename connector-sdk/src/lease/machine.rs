//! The machine itself.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use super::vocabulary::{Action, Grant, Input, LeaseToken, PollId, Settings, Standing, TaskId};

/// Leases given up or settled that are remembered, so that a grant delivered late is not begun again.
const GONE_MAX: usize = 1_024;
/// Polls in flight at most. More than one, so that slots that become free while a poll waits are offered too.
const POLLS_MAX: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Cancelling,
    Reporting,
    /// Lost while reporting: only the answer to the report tells whether it was in time.
    ReportingLost,
}

#[derive(Debug)]
struct Held {
    task: TaskId,
    seq: u64,
    phase: Phase,
}

/// The leases of one worker. Times are since the worker's start, by a monotonic clock.
#[derive(Debug)]
pub struct LeaseMachine {
    settings: Settings,
    held: BTreeMap<LeaseToken, Held>,
    /// The newest grant of each held task.
    newest: HashMap<TaskId, LeaseToken>,
    gone: Gone,
    polls: BTreeMap<PollId, u32>,
    polls_made: u64,
    next_beat: Duration,
    beating: bool,
    draining: bool,
}

impl LeaseMachine {
    /// A machine that holds nothing. Its first input should be a [`Input::Tick`], which makes it ask for work.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            held: BTreeMap::new(),
            newest: HashMap::new(),
            gone: Gone::default(),
            polls: BTreeMap::new(),
            polls_made: 0,
            next_beat: settings.first_beat,
            beating: false,
            draining: false,
        }
    }

    /// When the next [`Input::Tick`] is due.
    pub fn next_tick(&self) -> Duration {
        self.next_beat
    }

    /// Whether the lease may still be held: it is known, and no renewal said that it is lost.
    pub fn may_hold(&self, lease: &LeaseToken) -> bool {
        let held = self.held.get(lease);
        held.is_some_and(|held| held.phase != Phase::ReportingLost)
    }

    /// How many tasks are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// How many next tasks the answer to `reports` reports may bring: a slot each, unless the worker drains.
    pub fn next_slots(&self, reports: u32) -> u32 {
        if self.draining { 0 } else { reports }
    }

    /// Takes in what happened at `now` and says what is to be done, in order.
    pub fn handle(&mut self, now: Duration, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Tick => self.beat(now, &mut actions),
            Input::PollAnswered { poll, grants } => {
                self.polls.remove(&poll);
                self.take(grants, &mut actions);
            }
            Input::Finished(lease) => self.finished(lease, &mut actions),
            Input::ReportsAnswered { settled, grants } => {
                for lease in settled {
                    self.forget(&lease);
                }
                self.take(grants, &mut actions);
            }
            Input::BeatAnswered(standings) => {
                self.beating = false;
                for (lease, standing) in standings {
                    self.stand(lease, standing, &mut actions);
                }
            }
            Input::BeatFailed { retry_after } => {
                self.beating = false;
                // A wish is heard as far as the leases, which last three beats at least, can bear it.
                let interval = self.settings.beat_interval;
                self.next_beat = now + retry_after.clamp(interval / 4, interval);
            }
            Input::Drain => self.draining = true,
        }
        self.ask(&mut actions);
        if self.draining && self.held.is_empty() && self.polls.is_empty() {
            actions.push(Action::Drained);
        }
        actions
    }

    fn take(&mut self, grants: Vec<Grant>, actions: &mut Vec<Action>) {
        for grant in grants {
            if self.gone.has(&grant.lease) {
                continue; // Over already.
            }
            if let Some(known) = self.newest.get(&grant.task) {
                let seq = self.held.get(known).map_or(0, |held| held.seq);
                if grant.seq <= seq {
                    continue; // Delivered again, or late.
                }
                // A newer grant proves the older lease lost. One that is being reported awaits its answer.
                let old = known.clone();
                match self.held.get(&old).map(|held| held.phase) {
                    Some(Phase::Running | Phase::Cancelling) => {
                        self.forget(&old);
                        actions.push(Action::Stop(old));
                    }
                    Some(Phase::Reporting | Phase::ReportingLost) | None => {}
                }
            }
            self.newest.insert(grant.task.clone(), grant.lease.clone());
            let held = Held {
                task: grant.task,
                seq: grant.seq,
                phase: Phase::Running,
            };
            self.held.insert(grant.lease.clone(), held);
            actions.push(Action::Start(grant.lease));
        }
    }

    fn finished(&mut self, lease: LeaseToken, actions: &mut Vec<Action>) {
        let Some(held) = self.held.get_mut(&lease) else {
            return; // Lost in the meantime.
        };
        match held.phase {
            Phase::Running | Phase::Cancelling => {
                held.phase = Phase::Reporting;
                actions.push(Action::Report(lease));
            }
            Phase::Reporting | Phase::ReportingLost => {}
        }
    }

    fn stand(&mut self, lease: LeaseToken, standing: Standing, actions: &mut Vec<Action>) {
        let Some(held) = self.held.get_mut(&lease) else {
            return;
        };
        match (standing, held.phase) {
            (Standing::Lost, Phase::Running | Phase::Cancelling) => {
                self.forget(&lease);
                actions.push(Action::Stop(lease));
            }
            (Standing::Lost, Phase::Reporting) => held.phase = Phase::ReportingLost,
            (Standing::CancelRequested, Phase::Running) => {
                held.phase = Phase::Cancelling;
                actions.push(Action::Cancel(lease));
            }
            (Standing::Held, _)
            | (Standing::Lost, Phase::ReportingLost)
            | (
                Standing::CancelRequested,
                Phase::Cancelling | Phase::Reporting | Phase::ReportingLost,
            ) => {}
        }
    }

    fn forget(&mut self, lease: &LeaseToken) {
        let Some(held) = self.held.remove(lease) else {
            return;
        };
        if self.newest.get(&held.task) == Some(lease) {
            self.newest.remove(&held.task);
        }
        self.gone.remember(lease.clone());
    }

    fn beat(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if now < self.next_beat {
            return;
        }
        self.next_beat = now + self.settings.beat_interval;
        let leases: Vec<_> = self
            .held
            .iter()
            .filter(|(_, held)| held.phase != Phase::ReportingLost)
            .map(|(lease, _)| lease.clone())
            .collect();
        if !leases.is_empty() && !self.beating {
            self.beating = true;
            actions.push(Action::Beat(leases));
        }
    }

    fn ask(&mut self, actions: &mut Vec<Action>) {
        let asked: u32 = self.polls.values().sum();
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let free = self
            .settings
            .slots
            .saturating_sub(held.saturating_add(asked));
        if self.draining || free == 0 || self.polls.len() >= POLLS_MAX {
            return;
        }
        let poll = PollId(self.polls_made);
        self.polls_made += 1;
        let slots = free.min(self.settings.poll_slots_max);
        self.polls.insert(poll, slots);
        actions.push(Action::Poll { poll, slots });
    }
}

/// The newest leases that are over.
#[derive(Debug, Default)]
struct Gone {
    known: HashSet<LeaseToken>,
    by_age: VecDeque<LeaseToken>,
}

impl Gone {
    fn has(&self, lease: &LeaseToken) -> bool {
        self.known.contains(lease)
    }

    fn remember(&mut self, lease: LeaseToken) {
        if self.by_age.len() == GONE_MAX
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.known.remove(&oldest);
        }
        if self.known.insert(lease.clone()) {
            self.by_age.push_back(lease);
        }
    }
}

#[cfg(test)]
mod tests;
