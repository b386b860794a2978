//! A line: the tasks of one capability in one namespace that are ready, and the workers that wait for them.

use std::collections::{BTreeMap, VecDeque};

use fulcrum_core::ids::{NamespaceId, WorkerId};

/// One line as this controller knows it.
#[derive(Debug)]
pub(super) struct Line {
    /// Workers that may have a free slot, next one first. Who turns out to have none leaves until its next call.
    pub(super) waiting: VecDeque<WorkerId>,
    /// May tasks be handed off, or do older ones wait for a claim?
    open: bool,
    /// Has a claim something to look for?
    pending: bool,
    /// Counts the tasks that were left to a claim, so that a claim which began before does not call the line empty.
    left: u64,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            // Nobody has looked yet.
            open: false,
            pending: true,
            left: 0,
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

    /// May a new task be handed off without passing older ones?
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// May there be tasks that only a claim finds?
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// A task was left to a claim.
    pub(super) fn leave(&mut self) {
        self.open = false;
        self.pending = true;
        self.left += 1;
    }

    /// What a claim that begins now has to remember.
    pub(super) fn mark(&self) -> u64 {
        self.left
    }

    /// A claim that began at this mark saw the end of the line. What was left meanwhile is as young as what is handed
    /// off from now on: waiting for a claim that nothing was left behind would keep a busy line on claims for good.
    pub(super) fn ends(&mut self, mark: u64) {
        self.open = true;
        self.pending = self.left != mark;
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
