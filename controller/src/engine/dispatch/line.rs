//! A line: the tasks of one capability in one namespace that are ready, and the workers that wait for them.

use std::collections::{BTreeMap, VecDeque};

use fulcrum_core::ids::{NamespaceId, WorkerId};

/// One line as this controller knows it.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Workers that may have a free slot, next one first. Who turns out to have none leaves until its next call.
    pub(super) waiting: VecDeque<WorkerId>,
    /// Counts the tasks that were left to claims.
    left: u64,
    /// Those up to here are known to be gone; `None` while nobody knows what waits.
    cleared: Option<u64>,
    /// Those up to here are being claimed.
    claiming: Option<u64>,
}

/// How many tasks of a line wait for a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backlog {
    /// Nobody has looked yet, or not to the end.
    Unknown,
    /// At most so many.
    Tasks(u32),
}

impl Backlog {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Backlog::Tasks(one), Backlog::Tasks(two)) => Backlog::Tasks(one.saturating_add(two)),
            (Backlog::Unknown, _) | (_, Backlog::Unknown) => Backlog::Unknown,
        }
    }
}

impl Line {
    /// A worker joins the end of the line, if it is not in it.
    pub(super) fn wait(&mut self, worker: WorkerId) {
        if !self.waiting.contains(&worker) {
            self.waiting.push_back(worker);
        }
    }

    /// Slots that have to stay free for older tasks, which only a claim finds, beside those that a claim under way has
    /// taken. `None` while nobody knows how many that are: then nothing may be handed off past them.
    pub(super) fn reserved(&self) -> Option<u32> {
        let found = self.cleared?.max(self.claiming.unwrap_or_default());
        Some(u32::try_from(self.left - found).unwrap_or(u32::MAX))
    }

    /// May there be tasks that only a claim finds?
    pub(super) fn is_pending(&self) -> bool {
        self.backlog() != Backlog::Tasks(0)
    }

    /// What a claim should ask for.
    pub(super) fn backlog(&self) -> Backlog {
        match self.cleared {
            Some(cleared) => Backlog::Tasks(u32::try_from(self.left - cleared).unwrap_or(u32::MAX)),
            None => Backlog::Unknown,
        }
    }

    /// A task was left to a claim.
    pub(super) fn leave(&mut self) {
        self.left += 1;
    }

    /// What was known is not known any more.
    pub(super) fn doubt(&mut self) {
        self.leave();
        self.cleared = None;
    }

    /// A claim got all that it asked for: there may be more.
    pub(super) fn goes_on(&mut self) {
        self.cleared = None;
    }

    /// A tick, or another controller, saw a task in it that may be unknown here.
    pub(super) fn suspect(&mut self) {
        self.left += 1;
    }

    /// A claim begins, with a slot for each task that was left. It has to remember the mark.
    pub(super) fn begin(&mut self) -> u64 {
        self.claiming = Some(self.left);
        self.left
    }

    /// The claim is over, whatever came of it.
    pub(super) fn over(&mut self) {
        self.claiming = None;
    }

    /// A claim that began at this mark saw the end of the line.
    pub(super) fn ends(&mut self, mark: u64) {
        self.cleared = Some(mark);
    }
}

/// All lines that workers here have asked for.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<NamespaceId, BTreeMap<String, Line>>);

impl Lines {
    pub(super) fn get(&self, namespace: NamespaceId, capability: &str) -> Option<&Line> {
        self.0.get(&namespace)?.get(capability)
    }

    pub(super) fn get_mut(
        &mut self,
        namespace: NamespaceId,
        capability: &str,
    ) -> Option<&mut Line> {
        self.0.get_mut(&namespace)?.get_mut(capability)
    }

    /// The line, made if nobody asked for it before.
    pub(super) fn entry(&mut self, namespace: NamespaceId, capability: &str) -> &mut Line {
        let of_namespace = self.0.entry(namespace).or_default();
        if !of_namespace.contains_key(capability) {
            of_namespace.insert(capability.to_owned(), Line::default());
        }
        of_namespace
            .get_mut(capability)
            .expect("it was put in if it was missing")
    }

    /// All lines of a namespace.
    pub(super) fn of_namespace(
        &mut self,
        namespace: NamespaceId,
    ) -> impl Iterator<Item = &mut Line> {
        self.0
            .get_mut(&namespace)
            .into_iter()
            .flat_map(BTreeMap::values_mut)
    }

    /// All lines.
    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Line> {
        self.0.values_mut().flat_map(BTreeMap::values_mut)
    }
}
