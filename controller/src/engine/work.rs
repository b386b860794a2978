//! One run's share of a batch: the commands that wait, decided in sequence on the run's state.

mod command;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use fulcrum_core::decide::{Answer, Decided, Inputs, Needs, Rejection, decide};
use fulcrum_core::definition::plan::Plan;
use fulcrum_core::ids::{CommitId, DefinitionHash, MailId, NamespaceId, PayloadId, RunId};
use fulcrum_core::limits::Limits;
use fulcrum_core::payload::{NewPayload, PayloadRef};
use fulcrum_core::run::Run;
use fulcrum_core::store::{Commit, RunHead, SnapshotMark, StoreError};
use fulcrum_core::task::Lease;
use fulcrum_core::time::Timestamp;

use self::command::{dead_mail, fenced_task, lease_of, subject};
use super::assemble::Merged;
use super::cache::CachedRun;
use super::catalog::Contracts;
use super::item::{Accepted, Item, LaneError};
use super::values::Values;
use super::watch::Closed;
use crate::entropy::Entropy;

/// Bytes of a new payload that is parsed for later steps, which then find it without a query.
const REMEMBERED_BYTES_MAX: u32 = 64 * 1024;
/// Payloads that a cached run looks for before it is decided on. With more, it asks for each when it needs it.
const REMEMBERED_MAX: usize = 256;

/// How a lane came by what it knows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// It looked for this batch: what it saw is the truth.
    Read,
    /// It remembers its own last commit. Another controller may have gone on from there.
    Remembered,
}

/// A run with the commands that wait for it.
#[derive(Debug)]
pub struct Work {
    /// The run.
    pub run: RunId,
    knowledge: Knowledge,
    base: Option<(RunHead, SnapshotMark)>,
    state: Option<Arc<Run>>,
    plan: Option<Arc<Plan>>,
    inputs: Inputs,
    contracts_loaded: bool,
    waiting: VecDeque<Item>,
    decided: Vec<(Item, Answer)>,
    refused: Vec<(Item, Rejection)>,
    postponed: Vec<Item>,
    merged: Merged,
    failed: bool,
}

/// What a work wants before it can go on.
#[derive(Debug)]
pub enum Want {
    /// Nothing: every command is decided or answered.
    Nothing,
    /// A plan.
    Plan(DefinitionHash),
    /// The contracts of a namespace.
    Contracts(NamespaceId),
    /// Whatever the core asked for.
    Needs(NamespaceId, Box<Needs>),
}

impl Work {
    /// Work on a run: `cached` is its state, or `None` when it does not exist.
    #[must_use]
    pub fn new(
        run: RunId,
        cached: Option<CachedRun>,
        knowledge: Knowledge,
        limits: Limits,
        values: &mut Values,
    ) -> Self {
        let mut inputs = Inputs {
            now: Timestamp::default(),
            entropy: [0; 32],
            payloads: BTreeMap::new(),
            joins: BTreeMap::new(),
            contracts: Arc::default(),
            workflows: BTreeMap::new(),
            limits,
        };
        let (base, state, plan) = match cached {
            Some(cached) => {
                let held = cached.payloads.into_iter();
                inputs.payloads = held.filter_map(|id| Some((id, values.get(id)?))).collect();
                (
                    Some((cached.head, cached.snapshot)),
                    Some(cached.run),
                    Some(cached.plan),
                )
            }
            None => (None, None, None),
        };
        Self {
            run,
            knowledge,
            base,
            state,
            plan,
            inputs,
            contracts_loaded: false,
            waiting: VecDeque::new(),
            decided: Vec::new(),
            refused: Vec::new(),
            postponed: Vec::new(),
            merged: Merged::default(),
            failed: false,
        }
    }

    /// Adds a command after those that wait already.
    pub fn push(&mut self, item: Item) {
        self.waiting.push_back(item);
    }

    /// Decides as far as the inputs reach.
    pub fn advance(&mut self, now: Timestamp, entropy: &Entropy) -> Want {
        self.inputs.now = now;
        while let Some(item) = self.waiting.pop_front() {
            match self.decide_one(item, entropy) {
                Want::Nothing => {}
                want @ (Want::Plan(_) | Want::Contracts(_) | Want::Needs(..)) => return want,
            }
        }
        Want::Nothing
    }

    fn decide_one(&mut self, item: Item, entropy: &Entropy) -> Want {
        if let Some(request) = &item.request
            && self.merged.answers(&request.key)
        {
            // The same request again: its answer is the first one's, once that is stored.
            self.postponed.push(item);
            return Want::Nothing;
        }
        if let Some(task) = fenced_task(&item.command.kind)
            && self.merged.fences(task)
        {
            // A second command about one lease is decided on what the first one committed.
            self.postponed.push(item);
            return Want::Nothing;
        }
        let Some(subject) = subject(&item, self.state.as_deref()) else {
            item.answer(Err(Rejection::RunNotFound(self.run).into()));
            return Want::Nothing;
        };
        let Some(plan) = self.plan.clone() else {
            self.waiting.push_front(item);
            return Want::Plan(subject.definition);
        };
        if !self.contracts_loaded {
            self.waiting.push_front(item);
            return Want::Contracts(subject.namespace);
        }
        self.inputs.entropy = match entropy.block() {
            Ok(block) => block,
            Err(e) => {
                tracing::error!(error = %e, "no entropy; refusing the command");
                item.answer(Err(LaneError::Overloaded));
                return Want::Nothing;
            }
        };
        // The core does not panic on any input that we know of. If it does, that run's command fails and nobody else's.
        let decided = std::panic::catch_unwind(AssertUnwindSafe(|| {
            decide(self.state.as_deref(), &plan, &item.command, &self.inputs)
        }));
        let Ok(decided) = decided else {
            let problem = "a decision panicked; the log has the place".to_owned();
            tracing::error!(run = %self.run, "a decision panicked");
            item.answer(Err(LaneError::Store(StoreError::Corrupt {
                run: self.run,
                problem,
            })));
            return Want::Nothing;
        };
        match decided {
            Ok(Decided { mut decision, run }) => {
                let answer = std::mem::take(&mut decision.answer);
                self.merged
                    .add(decision, self.inputs.now, &run, item.request.as_ref());
                self.state = Some(Arc::new(run));
                self.decided.push((item, answer));
                Want::Nothing
            }
            Err(Rejection::Needs(needs)) => {
                let needs = self.satisfy_locally(*needs);
                self.waiting.push_front(item);
                match needs {
                    None => Want::Nothing,
                    Some(needs) => Want::Needs(subject.namespace, Box::new(needs)),
                }
            }
            Err(rejection) => {
                self.refused.push((item, rejection));
                Want::Nothing
            }
        }
    }

    /// Payloads that this very batch produced need no query. `None` when nothing is left to ask for.
    fn satisfy_locally(&mut self, mut needs: Needs) -> Option<Needs> {
        let merged = &self.merged;
        let inputs = &mut self.inputs;
        needs.payloads.retain(|reference| {
            match merged.payload(reference.id).map(NewPayload::value) {
                Some(Ok(value)) => {
                    inputs.payloads.insert(reference.id, value);
                    false
                }
                Some(Err(_)) | None => true,
            }
        });
        let empty =
            needs.payloads.is_empty() && needs.joins.is_empty() && needs.workflows.is_empty();
        (!empty).then_some(needs)
    }

    /// Are there refusals that rest on what is remembered alone? They may be wrong, and no commit will tell.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.knowledge == Knowledge::Remembered
            && self.decided.is_empty()
            && !self.refused.is_empty()
    }

    /// What the refusals were made on is the truth: answers them, and gives back the mail to throw away.
    pub fn refuse(&mut self) -> Vec<MailId> {
        let mut discard = Vec::new();
        for (item, rejection) in self.refused.drain(..) {
            discard.extend(dead_mail(&item, &rejection));
            item.answer(Err(rejection.into()));
        }
        discard
    }

    /// Takes the plan that was wanted.
    pub fn give_plan(&mut self, plan: Result<Arc<Plan>, String>) {
        match plan {
            Ok(plan) => self.plan = Some(plan),
            Err(problem) => {
                let run = self.run;
                self.fail(&LaneError::Definition { run, problem });
            }
        }
    }

    /// Takes the contracts that were wanted.
    pub fn give_contracts(&mut self, contracts: Contracts) {
        self.inputs.contracts = contracts;
        self.contracts_loaded = true;
    }

    /// Takes a payload that was needed.
    pub fn give_payload(&mut self, payload: PayloadId, value: Arc<serde_json::Value>) {
        self.inputs.payloads.insert(payload, value);
    }

    /// The inputs, to be filled with what was needed.
    pub fn inputs_mut(&mut self) -> &mut Inputs {
        &mut self.inputs
    }

    /// Answers everything that is still undecided, and drops what was decided, with an error.
    pub fn fail(&mut self, error: &LaneError) {
        for item in self.waiting.drain(..).chain(self.postponed.drain(..)) {
            item.answer(Err(error.clone()));
        }
        for (item, _) in self.decided.drain(..) {
            item.answer(Err(error.clone()));
        }
        for (item, _) in self.refused.drain(..) {
            item.answer(Err(error.clone()));
        }
        self.merged = Merged::default();
        // The state may have gone ahead of what is stored.
        self.base = None;
        self.failed = true;
    }

    /// Was everything in it answered with an error? Nothing more may be decided on its state.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// What there is to commit, if anything: all decisions, which leave the work.
    pub fn commit(&mut self, id: CommitId, snapshot_every_events: u64) -> Option<Commit> {
        if self.decided.is_empty() {
            return None;
        }
        let run = self.state.as_deref()?;
        let before = self.base.as_ref().map(|(head, mark)| (head, *mark));
        let merged = std::mem::take(&mut self.merged);
        Some(merged.into_commit(id, run, before, snapshot_every_events))
    }

    /// The newest snapshot before this batch.
    #[must_use]
    pub fn snapshot(&self) -> SnapshotMark {
        self.base
            .as_ref()
            .map_or_else(SnapshotMark::default, |(_, mark)| *mark)
    }

    /// The root of the run's family.
    #[must_use]
    pub fn root(&self) -> RunId {
        self.state.as_ref().map_or(self.run, |run| run.origin.root)
    }

    /// Undecided commands that wait for the next batch.
    pub fn leftovers(&mut self) -> Vec<Item> {
        std::mem::take(&mut self.postponed)
    }

    /// The commands, taken back for another decision: a race was lost, or may have been.
    #[must_use]
    pub fn into_items(self) -> Vec<Item> {
        let refused = self.refused.into_iter().map(|(item, _)| item);
        self.decided
            .into_iter()
            .map(|(item, _)| item)
            .chain(refused)
            .chain(self.waiting)
            .chain(self.postponed)
            .collect()
    }

    /// Answers the commands whose leases are lost and gives back the others.
    #[must_use]
    pub fn into_items_without(self, lost: &[Lease]) -> Vec<Item> {
        let mut kept = Vec::new();
        for item in self.into_items() {
            match lease_of(&item.command.kind) {
                Some(lease) if lost.contains(&lease) => {
                    item.answer(Err(Rejection::LeaseLost(lease.task).into()));
                }
                Some(_) | None => kept.push(item),
            }
        }
        kept
    }

    /// The run as the commit closed it, for those who wait for its result.
    #[must_use]
    pub fn closed(&self, commit: &Commit) -> Option<Arc<Closed>> {
        let payloads = commit.payloads.iter();
        Some(Arc::new(Closed {
            run: Arc::clone(self.state.as_ref()?),
            head: commit.head.clone(),
            payloads: payloads
                .map(|new| (new.reference.id, new.payload.clone()))
                .collect(),
        }))
    }

    /// The commit went through: answers everybody and gives back the run for the cache, unless it is closed.
    pub fn settle(
        self,
        commit: &Commit,
        snapshot: SnapshotMark,
        values: &mut Values,
    ) -> Option<CachedRun> {
        let head = &commit.head;
        for (item, answer) in self.decided {
            item.answer(Ok(Accepted {
                answer,
                version: head.version,
            }));
        }
        if head.status.is_closed() {
            // What a root read was its family's, and that is closed or about to be.
            if head.parent.is_none() {
                let input = self.state.as_ref().and_then(|run| run.origin.input);
                let read = self.inputs.payloads.keys().copied();
                read.chain(input.map(|input| input.id))
                    .for_each(|payload| values.forget(payload));
            }
            return None;
        }
        // What comes next draws on the input and on what was just made; older values are asked for.
        let state = self.state?;
        let input = state.origin.input.map(|input| input.id);
        let mut payloads: BTreeSet<PayloadId> = input
            .filter(|input| self.inputs.payloads.contains_key(input))
            .into_iter()
            .collect();
        for new in &commit.payloads {
            if remember(values, new) {
                payloads.insert(new.reference.id);
            }
        }
        forget_many(&mut payloads);
        Some(CachedRun {
            run: state,
            head: head.clone(),
            plan: self.plan?,
            snapshot,
            payloads,
        })
    }

    /// Nothing was committed: gives back the run unchanged.
    #[must_use]
    pub fn unchanged(self) -> Option<CachedRun> {
        let (head, snapshot) = self.base?;
        let mut payloads = self.inputs.payloads.into_keys().collect();
        forget_many(&mut payloads);
        Some(CachedRun {
            run: self.state?,
            head,
            plan: self.plan?,
            snapshot,
            payloads,
        })
    }
}

fn forget_many(payloads: &mut BTreeSet<PayloadId>) {
    if payloads.len() > REMEMBERED_MAX {
        payloads.clear();
    }
}

/// Keeps the value of a payload that was just written, for this run and those that it starts. Tells whether it did.
fn remember(values: &mut Values, new: &NewPayload) -> bool {
    let PayloadRef { id, bytes, .. } = new.reference;
    if bytes > REMEMBERED_BYTES_MAX {
        return false;
    }
    match new.value() {
        Ok(value) => {
            values.put(id, value);
            true
        }
        Err(_) => false,
    }
}
