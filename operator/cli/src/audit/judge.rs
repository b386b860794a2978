//! Timelines, held against what was recorded.

use std::collections::{BTreeMap, BTreeSet};

use fulcrum_proto::audit::v1::ReadTimelinesResponse;
use uuid::Uuid;

use super::Finding;
use super::recorded::{Recorded, Step, run_id};
use crate::error::CliError;
use crate::timeline::chain::{Chain, Expect};
use crate::timeline::type_id;

/// Findings that are kept; more are counted.
const FINDINGS_MAX: usize = 100;

/// Whoever holds them against each other.
#[derive(Debug)]
pub struct Judge {
    recorded: Recorded,
    under_way: Option<Telling>,
    ahead: BTreeMap<Uuid, Ahead>,
    findings: Vec<Finding>,
    tally: Tally,
    told: BTreeSet<Uuid>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Their events.
    pub events: u64,
    /// Runs that ended before the log began: only their own chains were checked.
    pub before: u64,
    /// Findings, kept or not.
    pub findings: u64,
}

/// A run whose timeline comes.
#[derive(Debug)]
struct Telling {
    run: Uuid,
    chain: Chain,
    steps: std::vec::IntoIter<Step>,
    next: Option<Step>,
    /// What was recorded last before the first event that differs.
    agreed: u64,
    is_broken: bool,
}

/// Events that came after what was read of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ahead {
    from: u64,
    to: u64,
    /// Of the last.
    hash: [u8; 32],
}

impl Judge {
    /// With what was recorded.
    #[must_use]
    pub fn new(recorded: Recorded) -> Self {
        Self {
            recorded,
            under_way: None,
            ahead: BTreeMap::new(),
            findings: Vec::new(),
            tally: Tally::default(),
            told: BTreeSet::new(),
        }
    }

    /// What was recorded, to add to it.
    pub fn recorded(&mut self) -> &mut Recorded {
        &mut self.recorded
    }

    /// Takes in the next part of a timeline.
    pub fn add(&mut self, part: &ReadTimelinesResponse) {
        let Some(run) = type_id::decode("run", &part.run_id) else {
            return;
        };
        let mut telling = match self.under_way.take() {
            Some(telling) if telling.run == run => telling,
            _ => Telling::begin(run, self.recorded.take(run)),
        };
        if let Some(finding) = telling.hear(part) {
            self.find(finding);
        }
        if part.gone {
            // It left with its day: the log has a notice of that.
            return;
        }
        if part.last {
            self.tally.runs += 1;
            self.told.insert(run);
            self.tally.events += telling.chain.len();
            self.conclude(telling, part);
        } else {
            self.under_way = Some(telling);
        }
    }

    fn conclude(&mut self, telling: Telling, part: &ReadTimelinesResponse) {
        if telling.is_broken {
            return;
        }
        let (found, head) = (telling.chain.len(), telling.chain.head());
        let mut rest = telling.next.into_iter().chain(telling.steps);
        let early = rest.rfind(|step| self.recorded.is_early(step));
        if let Some(step) = early {
            return self.find(Finding::CutOff {
                run: part.run_id.clone(),
                found,
                recorded: step.seq,
            });
        }
        let expect = if part.closed {
            Expect::Closed
        } else {
            Expect::Open
        };
        if let Err(fault) = telling.chain.finish(expect) {
            let run = part.run_id.clone();
            return self.find(Finding::Timeline { run, fault });
        }
        if found > telling.agreed {
            let from = telling.agreed + 1;
            self.ahead.insert(
                telling.run,
                Ahead {
                    from,
                    to: found,
                    hash: head,
                },
            );
        }
    }

    /// Is everything recorded by now that was found ahead of the log?
    pub fn has_caught_up(&mut self) -> bool {
        let recorded = &mut self.recorded;
        self.ahead.retain(|run, ahead| {
            let steps = recorded.take(*run);
            !steps
                .iter()
                .any(|step| (step.seq, step.hash) == (ahead.to, ahead.hash))
        });
        let recorded = &self.recorded;
        self.ahead
            .iter()
            .all(|(run, ahead)| ahead.from == 1 && recorded.is_before(*run))
    }

    /// Has it caught up, and is everything accounted for that was recorded before?
    pub fn is_settled(&mut self) -> bool {
        self.has_caught_up() && self.recorded.left_over().is_empty()
    }

    /// What was found. With every run looked at, those that were recorded and are not there are found, too.
    #[must_use]
    pub fn verdict(mut self, of: Of) -> (Tally, Vec<Finding>) {
        self.has_caught_up();
        if of == Of::PartOfTheLog {
            self.ahead.clear();
        }
        for (run, ahead) in std::mem::take(&mut self.ahead) {
            if ahead.from == 1 && self.recorded.is_before(run) {
                self.tally.before += 1;
            } else {
                self.find(Finding::Unrecorded {
                    run: run_id(run),
                    from: ahead.from,
                    to: ahead.to,
                });
            }
        }
        if of == Of::Everything {
            for finding in self.recorded.left_over() {
                self.find(finding);
            }
        }
        (self.tally, self.findings)
    }

    /// Notes a run that was asked for, and of which nothing was told, as missing if it was recorded.
    ///
    /// # Errors
    /// When nobody ever heard of it.
    pub fn find_if_missing(&mut self, run: &str) -> Result<(), CliError> {
        let id = type_id::decode("run", run);
        if id.is_some_and(|id| self.told.contains(&id)) {
            return Ok(());
        }
        if id.is_some_and(|id| self.recorded.has_left(id)) {
            return Err(CliError::NotFound {
                message: format!("{run} left by retention, with the day on which it was born"),
                fix: "look for it in an exported record".to_owned(),
            });
        }
        match id.and_then(|id| self.recorded.take(id).into_iter().max()) {
            Some(last) => {
                self.find(Finding::Missing {
                    run: run.to_owned(),
                    recorded: last.seq,
                });
                Ok(())
            }
            None => Err(CliError::NotFound {
                message: format!("there is no run {run}, and none was recorded"),
                fix: "list runs with `fulcrum run list`".to_owned(),
            }),
        }
    }

    /// Notes a finding.
    pub fn find(&mut self, finding: Finding) {
        self.tally.findings += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Every run there is.
    Everything,
    /// Some runs.
    Some,
    /// Runs, but only part of the log: what is missing in it says nothing.
    PartOfTheLog,
}

impl Telling {
    fn begin(run: Uuid, mut steps: Vec<Step>) -> Self {
        steps.sort_unstable();
        let mut steps = steps.into_iter();
        Self {
            run,
            chain: Chain::new(run),
            next: steps.next(),
            steps,
            agreed: 0,
            is_broken: false,
        }
    }

    /// The first thing that is wrong, if anything was right until now.
    fn hear(&mut self, part: &ReadTimelinesResponse) -> Option<Finding> {
        if self.is_broken {
            return None;
        }
        for event in &part.events {
            if let Err(fault) = self.chain.add_recorded(event) {
                self.is_broken = true;
                let run = part.run_id.clone();
                return Some(Finding::Timeline { run, fault });
            }
            while let Some(Step { seq, hash, .. }) = self.next.filter(|step| step.seq == event.seq)
            {
                if hash != self.chain.head() {
                    self.is_broken = true;
                    let run = part.run_id.clone();
                    return Some(Finding::Rewritten { run, seq });
                }
                self.agreed = seq;
                self.next = self.steps.next();
            }
        }
        None
    }
}
