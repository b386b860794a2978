//! Which tasks a worker holds and what is to be done about them: the worker's core, pure and without input or
//! output.
//!
//! The shell feeds it what happened ([`Input`]) and does what it answers ([`Action`]). It never asks for more
//! tasks than there are slots, starts a grant once however often it is delivered, and renews every lease from
//! its grant until its report is answered. A task holds its slot until then: when the controller does not
//! answer, a worker stops taking work instead of piling up results.
//!
//! A lease that cannot be renewed is *not* given up: a controller that was away gives holders time to come back,
//! and work stops only when it says that the lease is lost.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;

/// Polls in flight at most. More than one, so that slots that become free while a poll waits are offered too.
const POLLS_MAX: usize = 4;

/// Proof of a grant, opaque to the worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(pub Bytes);

/// A task, the same across its grants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub String);

/// One call for tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollId(u64);

/// A task granted to this worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The lease.
    pub lease: LeaseToken,
    /// The task.
    pub task: TaskId,
    /// Which grant of the task this is; a higher one supersedes.
    pub seq: u64,
}

/// Where the controller says a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Renewed.
    Held,
    /// Not held any more.
    Lost,
    /// Renewed, and the step is being cancelled.
    CancelRequested,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed.
    Tick,
    /// A call for tasks was answered, or given up (with no grants).
    PollAnswered {
        /// The call.
        poll: PollId,
        /// What it brought.
        grants: Vec<Grant>,
    },
    /// The work under a lease ended, and its report is ready.
    Finished(LeaseToken),
    /// Reports were accepted or refused for good.
    ReportsAnswered {
        /// The leases of the reports.
        settled: Vec<LeaseToken>,
        /// Tasks that came with the answer.
        grants: Vec<Grant>,
    },
    /// A renewal was answered.
    BeatAnswered(Vec<(LeaseToken, Standing)>),
    /// A renewal was not answered.
    BeatFailed,
    /// No new work is to be taken.
    Drain,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call for tasks.
    Poll {
        /// Id of the call.
        poll: PollId,
        /// How many tasks it may bring.
        slots: u32,
    },
    /// Begin the work of this grant.
    Start(LeaseToken),
    /// Stop the work at once; its outcome is not wanted.
    Stop(LeaseToken),
    /// Ask the work to wind up; its outcome is wanted.
    Cancel(LeaseToken),
    /// Hand in the outcome.
    Report(LeaseToken),
    /// Renew these leases, in one or more calls, and answer with all of them.
    Beat(Vec<LeaseToken>),
    /// The drain is over: nothing is held and nothing is asked for.
    Drained,
}

/// What the machine goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Tasks held at once.
    pub slots: u32,
    /// Tasks asked for at once.
    pub poll_slots_max: u32,
    /// Time between renewals.
    pub beat_interval: Duration,
    /// When the first renewal is due; random, so that workers do not beat together.
    pub first_beat: Duration,
}

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
            Input::BeatFailed => {
                self.beating = false;
                self.next_beat = now + self.settings.beat_interval / 4;
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

#[cfg(test)]
mod tests {
    use super::*;

    const BEAT: Duration = Duration::from_secs(10);

    fn machine(slots: u32) -> (LeaseMachine, PollId) {
        let mut machine = LeaseMachine::new(Settings {
            slots,
            poll_slots_max: 100,
            beat_interval: BEAT,
            first_beat: BEAT,
        });
        let actions = machine.handle(Duration::ZERO, Input::Tick);
        let [Action::Poll { poll, slots: asked }] = actions[..] else {
            panic!("the first tick asks for work, got {actions:?}");
        };
        assert_eq!(asked, slots);
        (machine, poll)
    }

    fn lease(name: &str) -> LeaseToken {
        LeaseToken(Bytes::copy_from_slice(name.as_bytes()))
    }

    fn grant(name: &str, task: &str, seq: u64) -> Grant {
        Grant {
            lease: lease(name),
            task: TaskId(task.into()),
            seq,
        }
    }

    fn answer(machine: &mut LeaseMachine, poll: PollId, grants: Vec<Grant>) -> Vec<Action> {
        machine.handle(Duration::ZERO, Input::PollAnswered { poll, grants })
    }

    #[test]
    fn free_slots_are_asked_for_once_and_never_more() {
        let (mut machine, poll) = machine(3);
        let actions = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        assert!(
            matches!(&actions[..], [Action::Start(started), Action::Poll { slots: 2, .. }] if *started == lease("a"))
        );
        assert_eq!(machine.handle(Duration::ZERO, Input::Tick), vec![]);
    }

    #[test]
    fn a_grant_delivered_twice_is_started_once() {
        let (mut machine, poll) = machine(1);
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        let again = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        assert_eq!(again, vec![]);
    }

    #[test]
    fn a_newer_grant_of_the_same_task_stops_the_older_work() {
        let (mut machine, poll) = machine(1);
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        let actions = answer(&mut machine, poll, vec![grant("b", "t1", 2)]);
        assert_eq!(
            actions,
            vec![Action::Stop(lease("a")), Action::Start(lease("b"))]
        );
        let late = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        assert_eq!(late, vec![]);
    }

    #[test]
    fn a_lost_lease_stops_the_work_and_frees_its_slot() {
        let (mut machine, poll) = machine(1);
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        let lost = Input::BeatAnswered(vec![(lease("a"), Standing::Lost)]);
        let actions = machine.handle(BEAT, lost);
        assert!(
            matches!(&actions[..], [Action::Stop(stopped), Action::Poll { slots: 1, .. }] if *stopped == lease("a"))
        );
        let late = machine.handle(BEAT, Input::Finished(lease("a")));
        assert_eq!(late, vec![], "what was lost is not reported");
    }

    #[test]
    fn a_failed_beat_stops_nothing_and_is_tried_again_soon() {
        let (mut machine, poll) = machine(1);
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        let beat = vec![Action::Beat(vec![lease("a")])];
        assert_eq!(machine.handle(BEAT, Input::Tick), beat);
        assert_eq!(machine.handle(BEAT, Input::BeatFailed), vec![]);
        assert_eq!(machine.next_tick(), BEAT + BEAT / 4);
        assert_eq!(machine.handle(machine.next_tick(), Input::Tick), beat);
    }

    #[test]
    fn a_lease_is_renewed_until_its_report_is_answered() {
        let (mut machine, poll) = machine(1);
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        let report = machine.handle(BEAT, Input::Finished(lease("a")));
        assert_eq!(report, vec![Action::Report(lease("a"))]);
        let beat = machine.handle(BEAT, Input::Tick);
        assert_eq!(beat, vec![Action::Beat(vec![lease("a")])]);
        let answered = Input::ReportsAnswered {
            settled: vec![lease("a")],
            grants: vec![grant("b", "t2", 1)],
        };
        let actions = machine.handle(BEAT, answered);
        assert_eq!(actions, vec![Action::Start(lease("b"))]);
    }

    #[test]
    fn a_lease_lost_while_reporting_waits_for_the_reports_answer() {
        let (mut machine, poll) = machine(1);
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        machine.handle(BEAT, Input::Finished(lease("a")));
        let lost = Input::BeatAnswered(vec![(lease("a"), Standing::Lost)]);
        assert_eq!(machine.handle(BEAT, lost), vec![]);
        assert_eq!(machine.held(), 1);
        assert_eq!(machine.handle(BEAT * 2, Input::Tick), vec![]);
    }

    #[test]
    fn cancellation_is_asked_once_and_its_outcome_reported() {
        let (mut machine, poll) = machine(1);
        answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        let cancel = Input::BeatAnswered(vec![(lease("a"), Standing::CancelRequested)]);
        let first = machine.handle(BEAT, cancel.clone());
        assert_eq!(first, vec![Action::Cancel(lease("a"))]);
        assert_eq!(machine.handle(BEAT, cancel), vec![]);
        let report = machine.handle(BEAT, Input::Finished(lease("a")));
        assert_eq!(report, vec![Action::Report(lease("a"))]);
    }

    #[test]
    fn a_drain_takes_no_work_and_ends_when_all_is_reported() {
        let (mut machine, poll) = machine(2);
        let actions = answer(&mut machine, poll, vec![grant("a", "t1", 1)]);
        let Some(Action::Poll { poll, .. }) = actions.last().cloned() else {
            panic!("the free slot is asked for, got {actions:?}");
        };
        assert_eq!(machine.handle(BEAT, Input::Drain), vec![]);
        assert_eq!(machine.next_slots(1), 0);
        assert_eq!(answer(&mut machine, poll, vec![]), vec![]);
        machine.handle(BEAT, Input::Finished(lease("a")));
        let settled = vec![lease("a")];
        let grants = vec![];
        let actions = machine.handle(BEAT, Input::ReportsAnswered { settled, grants });
        assert_eq!(actions, vec![Action::Drained]);
    }
}
