//! Random lives of a worker.

use proptest::prelude::*;

use super::*;

/// What an honest controller, a flaky network and working capabilities do next.
#[derive(Clone, Debug)]
enum Step {
    Grant { poll: usize, tasks: usize },
    GrantAgain { poll: usize, task: usize },
    Finish(usize),
    Report { lease: usize, next: bool },
    Beat(Vec<Standing>),
    BeatLost,
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let standing = prop_oneof![
        4 => Just(Standing::Held),
        1 => Just(Standing::Lost),
        1 => Just(Standing::CancelRequested),
    ];
    let step = prop_oneof![
        4 => (any::<usize>(), 0..4_usize).prop_map(|(poll, tasks)| Step::Grant { poll, tasks }),
        1 => (any::<usize>(), any::<usize>())
            .prop_map(|(poll, task)| Step::GrantAgain { poll, task }),
        4 => any::<usize>().prop_map(Step::Finish),
        4 => (any::<usize>(), any::<bool>())
            .prop_map(|(lease, next)| Step::Report { lease, next }),
        2 => prop::collection::vec(standing, 8).prop_map(Step::Beat),
        1 => Just(Step::BeatLost),
        1 => Just(Step::Drain),
    ];
    prop::collection::vec(step, 1..80)
}

/// The world around a machine, as its actions made it.
struct World {
    machine: LeaseMachine,
    now: Duration,
    grants: u64,
    polls: Vec<(PollId, u32)>,
    running: BTreeMap<LeaseToken, Grant>,
    reporting: Vec<LeaseToken>,
    started: Vec<LeaseToken>,
    beating: Option<Vec<LeaseToken>>,
    draining: bool,
    drained: bool,
}

const SLOTS: u32 = 5;

impl World {
    fn new() -> Self {
        let settings = Settings {
            slots: SLOTS,
            poll_slots_max: 3,
            beat_interval: BEAT,
            first_beat: BEAT,
        };
        let mut world = Self {
            machine: LeaseMachine::new(settings),
            now: Duration::ZERO,
            grants: 0,
            polls: Vec::new(),
            running: BTreeMap::new(),
            reporting: Vec::new(),
            started: Vec::new(),
            beating: None,
            draining: false,
            drained: false,
        };
        world.feed(Input::Tick, Vec::new());
        world
    }

    fn new_grant(&mut self, task: Option<TaskId>) -> Grant {
        self.grants += 1;
        let name = format!("lease{}", self.grants);
        Grant {
            task: task.unwrap_or_else(|| TaskId(format!("task{}", self.grants))),
            ..grant(&name, "", self.grants)
        }
    }

    /// Feeds the machine, does what it says, and checks what must hold.
    fn feed(&mut self, input: Input, grants: Vec<Grant>) {
        for action in self.machine.handle(self.now, input) {
            match action {
                Action::Poll { poll, slots } => {
                    assert!(!self.draining, "no work is asked for while draining");
                    self.polls.push((poll, slots));
                }
                Action::Start(lease) => {
                    assert!(!self.started.contains(&lease), "a grant is started once");
                    self.started.push(lease.clone());
                    let grant = grants.iter().find(|grant| grant.lease == lease);
                    self.running.insert(lease, grant.unwrap().clone());
                }
                Action::Stop(lease) => {
                    let stopped = self.running.remove(&lease);
                    assert!(stopped.is_some(), "only running work is stopped");
                }
                Action::Cancel(lease) => {
                    assert!(
                        self.running.contains_key(&lease),
                        "only running work is cancelled"
                    );
                }
                Action::Report(lease) => {
                    assert!(
                        self.running.remove(&lease).is_some(),
                        "what ran is reported"
                    );
                    self.reporting.push(lease);
                }
                Action::Beat(leases) => {
                    assert!(self.running.keys().all(|lease| leases.contains(lease)));
                    self.beating = Some(leases);
                }
                Action::Drained => self.drained = true,
            }
        }
        let mut tasks: Vec<_> = self.running.values().map(|grant| &grant.task).collect();
        tasks.sort();
        tasks.dedup();
        assert_eq!(tasks.len(), self.running.len(), "one lease runs for a task");
        let asked: u32 = self.polls.iter().map(|(_, slots)| slots).sum();
        let held = u32::try_from(self.machine.held()).unwrap();
        assert!(
            asked + held <= SLOTS,
            "{asked} asked and {held} held of {SLOTS}"
        );
        assert_eq!(
            self.machine.held(),
            self.running.len() + self.reporting.len()
        );
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Grant { poll, tasks } if !self.polls.is_empty() => {
                let (poll, slots) = self.polls.remove(poll % self.polls.len());
                let count = tasks.min(slots as usize);
                let grants: Vec<_> = (0..count).map(|_| self.new_grant(None)).collect();
                self.feed(
                    Input::PollAnswered {
                        poll,
                        grants: grants.clone(),
                    },
                    grants,
                );
            }
            Step::GrantAgain { poll, task }
                if !self.polls.is_empty() && !self.running.is_empty() =>
            {
                let (poll, _) = self.polls.remove(poll % self.polls.len());
                let known = self.running.values().nth(task % self.running.len());
                let old = known.unwrap().clone();
                let new = self.new_grant(Some(old.task.clone()));
                // The newer grant, and both delivered a second time.
                let grants = vec![new.clone(), old, new];
                self.feed(
                    Input::PollAnswered {
                        poll,
                        grants: grants.clone(),
                    },
                    grants,
                );
            }
            Step::Finish(index) if !self.running.is_empty() => {
                let lease = self.running.keys().nth(index % self.running.len());
                let lease = lease.unwrap().clone();
                self.feed(Input::Finished(lease), Vec::new());
            }
            Step::Report { lease, next } if !self.reporting.is_empty() => {
                let lease = self.reporting.remove(lease % self.reporting.len());
                let next = next && self.machine.next_slots(1) == 1;
                let grants: Vec<_> = next.then(|| self.new_grant(None)).into_iter().collect();
                let settled = vec![lease];
                let input = Input::ReportsAnswered {
                    settled,
                    grants: grants.clone(),
                };
                self.feed(input, grants);
            }
            Step::Beat(standings) => {
                self.now = self.machine.next_tick();
                self.feed(Input::Tick, Vec::new());
                let leases = self.beating.take().unwrap_or_default();
                let standings = leases.into_iter().zip(standings.into_iter().cycle());
                self.feed(Input::BeatAnswered(standings.collect()), Vec::new());
            }
            Step::BeatLost => {
                self.now = self.machine.next_tick();
                self.feed(Input::Tick, Vec::new());
                self.beating = None;
                self.feed(
                    Input::BeatFailed {
                        retry_after: Duration::ZERO,
                    },
                    Vec::new(),
                );
            }
            Step::Drain => {
                self.draining = true;
                self.feed(Input::Drain, Vec::new());
            }
            Step::Grant { .. }
            | Step::GrantAgain { .. }
            | Step::Finish(_)
            | Step::Report { .. } => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_slots_are_kept_and_a_drain_ends(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.step(Step::Drain);
        while !world.polls.is_empty() {
            world.step(Step::Grant { poll: 0, tasks: 0 });
        }
        while !world.running.is_empty() {
            world.step(Step::Finish(0));
        }
        while !world.reporting.is_empty() {
            world.step(Step::Report { lease: 0, next: true });
        }
        prop_assert!(world.drained);
    }
}
