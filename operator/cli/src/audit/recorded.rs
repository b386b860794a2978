//! The installation log, read from its first entry on: the tree is built again, each signed head held against it, and
//! what the entries say of each run is kept.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fulcrum_audit::{Head, Leaf, NodeHash, Notice, Reached, Tree, Verifier};
use fulcrum_proto::audit::v1::ReadLogResponse;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Finding;
use crate::timeline::type_id;

/// How far a commit brought a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// Number of the run's last event then.
    pub seq: u64,
    /// That event's hash.
    pub hash: [u8; 32],
    /// Where in the log it was recorded.
    pub place: u64,
}

/// What the log says.
#[derive(Debug, Default)]
pub struct Recorded {
    tree: Tree,
    begun: bool,
    /// The log before this place was believed: a signed head said so.
    believed: u64,
    first: u64,
    /// A head that is known from elsewhere.
    known: Option<Head>,
    /// What is said of other runs is passed over; of none, if empty.
    wanted: BTreeSet<Uuid>,
    runs: HashMap<Uuid, Vec<Step>>,
    /// What was recorded from this place on was perhaps not there yet when timelines were read.
    late_from: u64,
    /// Runs that were first recorded then, or had been taken out before.
    late: HashMap<Uuid, Vec<Step>>,
    days: BTreeMap<String, (u64, String)>,
    began_at_us: Option<i64>,
    /// Restores that somebody has admitted.
    pub admitted: Vec<String>,
}

impl Recorded {
    /// Nothing yet; timelines were read, or will be, when the log had so many entries.
    #[must_use]
    pub fn until(late_from: u64) -> Self {
        Self {
            late_from,
            ..Self::default()
        }
    }

    /// The log must contain this head.
    pub fn must_hold(&mut self, head: Head) {
        self.known = Some(head);
    }

    /// Keeps what is said of these runs alone; of all, if there are none.
    pub fn keep_only(&mut self, runs: impl IntoIterator<Item = Uuid>) {
        self.wanted = runs.into_iter().collect();
    }

    /// What comes from this place on is late.
    pub fn late_from(&mut self, place: u64) {
        self.late_from = place;
    }

    /// Entries read so far, with those that are no longer kept.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The log as it was read.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            size: self.tree.size(),
            root: self.tree.root(),
        }
    }

    /// Place of the first entry that is still kept.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Takes in the next entries.
    ///
    /// # Errors
    /// They do not follow, or are not those that were signed.
    pub fn add(&mut self, part: &ReadLogResponse, verifier: &Verifier) -> Result<(), Finding> {
        if !self.begun {
            self.begin(part)?;
        }
        if part.first_place != self.tree.size() {
            return Err(Finding::Gap {
                from: self.tree.size(),
                to: part.first_place.saturating_sub(1),
            });
        }
        for bytes in &part.leaves {
            let place = self.tree.size();
            self.tree.append(NodeHash::leaf(bytes));
            if self
                .known
                .is_some_and(|known| known.size == place + 1 && known != self.head())
            {
                let (from, to) = (self.believed, place);
                return Err(Finding::Entries { from, to });
            }
            let leaf = Leaf::read(bytes).map_err(|_| Finding::Unreadable { place })?;
            self.note(place, leaf);
        }
        if part.note.is_empty() {
            return Ok(());
        }
        let wrong = Finding::Entries {
            from: self.believed,
            to: self.tree.size().saturating_sub(1),
        };
        if verifier.open(&part.note) != Ok(self.head()) {
            return Err(wrong);
        }
        self.believed = self.tree.size();
        Ok(())
    }

    /// Holds what was read against the size that the log is known to have had.
    ///
    /// # Errors
    /// Its end is missing, or has no signed head after it.
    pub fn reaches(&self, size: u64) -> Result<(), Finding> {
        let read = self.tree.size();
        if read < size {
            let (from, to) = (read, size - 1);
            return Err(Finding::Gap { from, to });
        }
        if self.believed < read {
            let (from, to) = (self.believed, read - 1);
            return Err(Finding::Entries { from, to });
        }
        Ok(())
    }

    fn begin(&mut self, part: &ReadLogResponse) -> Result<(), Finding> {
        let edge: Option<Vec<NodeHash>> = part
            .edge
            .iter()
            .map(|hash| hash.as_ref().try_into().ok().map(NodeHash))
            .collect();
        let tree = edge.and_then(|edge| Tree::resume(part.first_place, &edge).ok());
        self.tree = tree.ok_or(Finding::Entries {
            from: 0,
            to: part.first_place,
        })?;
        self.begun = true;
        (self.first, self.believed) = (part.first_place, part.first_place);
        Ok(())
    }

    fn note(&mut self, place: u64, leaf: Leaf) {
        match leaf {
            Leaf::Commit(reached) => {
                for Reached { run, seq, chain } in reached {
                    if !self.wanted.is_empty() && !self.wanted.contains(&run) {
                        continue;
                    }
                    let is_late = place >= self.late_from && !self.runs.contains_key(&run);
                    let runs = if is_late {
                        &mut self.late
                    } else {
                        &mut self.runs
                    };
                    runs.entry(run).or_default().push(Step {
                        seq,
                        hash: chain,
                        place,
                    });
                }
            }
            Leaf::Notice(Notice::Began { at_us, .. }) => self.began_at_us = Some(at_us),
            Leaf::Notice(Notice::DayLeft { day, runs, root }) => {
                self.days.insert(day, (runs, root));
            }
            Leaf::Notice(Notice::Discontinuity { actor, reason, .. }) => {
                self.admitted.push(format!("{reason} ({actor})"));
            }
        }
    }

    /// What it says of a run, taken out.
    pub fn take(&mut self, run: Uuid) -> Vec<Step> {
        let mut steps = self.runs.remove(&run).unwrap_or_default();
        steps.extend(self.late.remove(&run).unwrap_or_default());
        steps
    }

    /// Was this recorded when timelines were read?
    #[must_use]
    pub fn is_early(&self, step: &Step) -> bool {
        step.place < self.late_from
    }

    /// Was this run born before the log began?
    #[must_use]
    pub fn is_before(&self, run: Uuid) -> bool {
        // The first 48 bits of a run's id are the milliseconds of its birth.
        let born_ms = u64::try_from(run.as_u128() >> 80).unwrap_or(u64::MAX);
        self.began_at_us
            .and_then(|at_us| u64::try_from(at_us / 1_000).ok())
            .is_some_and(|began_ms| born_ms < began_ms)
    }

    /// Has the day of this run left by retention?
    #[must_use]
    pub fn has_left(&self, run: Uuid) -> bool {
        self.days.contains_key(&day_of(run))
    }

    /// What was recorded early and not taken out: all of it must have left with its days.
    #[must_use]
    pub fn left_over(&self) -> Vec<Finding> {
        let mut by_day: BTreeMap<String, Vec<(Uuid, Step)>> = BTreeMap::new();
        for (run, steps) in &self.runs {
            if let Some(last) = steps.iter().max() {
                by_day.entry(day_of(*run)).or_default().push((*run, *last));
            }
        }
        let mut findings = Vec::new();
        for (day, mut runs) in by_day {
            runs.sort_unstable_by_key(|(run, _)| *run);
            match self.days.get(&day) {
                None => findings.extend(runs.into_iter().map(|(run, last)| Finding::Missing {
                    run: run_id(run),
                    recorded: last.seq,
                })),
                // Part of what is to be held against the day has left the log, or never came into it.
                Some((count, _)) if *count > runs.len() as u64 => {}
                Some((_, root)) => {
                    let mut hash = Sha256::new();
                    for (_, last) in &runs {
                        hash.update(last.hash);
                    }
                    if hex::encode(hash.finalize()) != *root {
                        findings.push(Finding::Day { day });
                    }
                }
            }
        }
        findings
    }
}

/// The printed id of a run.
pub(super) fn run_id(run: Uuid) -> String {
    type_id::encode("run", run)
}

/// The day (UTC) on which a run was born.
fn day_of(run: Uuid) -> String {
    let born_ms = i64::try_from(run.as_u128() >> 80).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(born_ms)
        .map_or_else(|_| String::new(), |at| at.strftime("%Y-%m-%d").to_string())
}
