//! What a lane has to know before it commits: runs, plans, payloads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fulcrum_core::ids::RunId;
use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::{Folded, JoinKey, Store, StoreError};

use super::Lane;
use crate::engine::backlog::is_start;
use crate::engine::cache::CachedRun;
use crate::engine::catalog::Source;
use crate::engine::item::{Item, LaneError};
use crate::engine::load::load;
use crate::engine::work::{Knowledge, Want, Work};

impl<S: Store, C: Source> Lane<S, C> {
    /// Decides commands, beside those of the next batch that are decided already. Those of runs in flight wait.
    pub(super) async fn take_in(&mut self, items: Vec<Item>) {
        let mut groups: BTreeMap<RunId, Vec<Item>> = BTreeMap::new();
        for item in items {
            let run = item.command.run;
            match self.flights.iter_mut().find(|flight| flight.carries(run)) {
                Some(flight) => flight.held.push(item),
                None => groups.entry(run).or_default().push(item),
            }
        }
        let mut loaded = self.load_missing(&groups).await;
        for (run, items) in groups {
            let mut work = match self.batch.works.remove(&run) {
                Some(work) => work,
                None => {
                    let (cached, knowledge) = match (self.cache.take(run), loaded.remove(&run)) {
                        (Some(cached), _) => (Some(cached), Knowledge::Remembered),
                        (None, Some(Ok(read))) => (Some(read), Knowledge::Read),
                        (None, Some(Err(error))) => {
                            refuse(items, &error);
                            continue;
                        }
                        (None, None) => (None, Knowledge::Read),
                    };
                    let limits = self.options.limits;
                    let values = &mut self.values;
                    Box::new(Work::new(run, cached, knowledge, limits, values))
                }
            };
            for item in items {
                work.push(item);
            }
            if let Err(error) = self.decide(&mut work).await {
                work.fail(&LaneError::Store(error));
            }
            if !work.has_failed() {
                self.batch.works.insert(run, work);
            }
        }
    }

    /// Loads what is neither in the batch nor in memory. A run that does not exist is not among the answers.
    async fn load_missing(
        &mut self,
        groups: &BTreeMap<RunId, Vec<Item>>,
    ) -> BTreeMap<RunId, Result<CachedRun, StoreError>> {
        let is_missing = |(run, items): &(&RunId, &Vec<Item>)| {
            let is_known = self.batch.works.contains_key(run) || self.cache.contains(**run);
            // A fresh start is decided on nothing; if the run exists after all, the commit conflicts and reloads.
            let is_fresh = items[0].conflicts == 0 && is_start(&items[0].command.kind);
            !is_known && !is_fresh
        };
        let missing: Vec<RunId> = groups
            .iter()
            .filter(is_missing)
            .map(|(run, _)| *run)
            .collect();
        if missing.is_empty() {
            return BTreeMap::new();
        }
        match self.load(&missing).await {
            Ok(loaded) => loaded,
            Err(error) => missing
                .into_iter()
                .map(|run| (run, Err(error.clone())))
                .collect(),
        }
    }

    async fn load(
        &mut self,
        missing: &[RunId],
    ) -> Result<BTreeMap<RunId, Result<CachedRun, StoreError>>, StoreError> {
        let mut runs = BTreeMap::new();
        for (id, folded) in load(self.store.as_ref(), missing).await? {
            let read = match folded {
                Ok(folded) => self.with_plan(id, folded).await?,
                Err(error) => Err(error),
            };
            if let Err(error) = &read {
                tracing::error!(run = %id, %error, "the run is corrupt and takes no commands");
            }
            runs.insert(id, read);
        }
        Ok(runs)
    }

    async fn with_plan(
        &mut self,
        id: RunId,
        folded: Folded,
    ) -> Result<Result<CachedRun, StoreError>, StoreError> {
        let Folded {
            run,
            head,
            snapshot,
        } = folded;
        let plan = self.catalog.plan(run.origin.definition).await?;
        let corrupt = |problem| StoreError::Corrupt { run: id, problem };
        Ok(plan.map_err(corrupt).map(|plan| CachedRun {
            run: Arc::new(run),
            head,
            plan,
            snapshot,
            payloads: BTreeSet::new(),
        }))
    }

    /// Decides everything that waits in a work, fetching what the core asks for.
    async fn decide(&mut self, work: &mut Work) -> Result<(), StoreError> {
        loop {
            match work.advance(self.clock.now(), &self.options.entropy) {
                Want::Nothing => return Ok(()),
                Want::Plan(hash) => work.give_plan(self.catalog.plan(hash).await?),
                Want::Contracts(namespace) => {
                    work.give_contracts(self.catalog.contracts(namespace).await?)
                }
                Want::Needs(namespace, needs) => {
                    self.fetch(work, needs.payloads).await?;
                    for step in needs.joins {
                        let root = work.root();
                        let key = JoinKey {
                            run: work.run,
                            root,
                            step: step.clone(),
                        };
                        let outputs = self.store.join_outputs(&key).await?;
                        work.inputs_mut().joins.insert(step, outputs);
                    }
                    for workflow in needs.workflows {
                        let newest = self.catalog.newest(namespace, &workflow).await?;
                        work.inputs_mut().workflows.insert(workflow, newest);
                    }
                }
            }
        }
    }

    /// Gives a work payloads: from memory, and the others from the store.
    async fn fetch(
        &mut self,
        work: &mut Work,
        needed: BTreeSet<PayloadRef>,
    ) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for reference in needed {
            match self.values.get(reference.id) {
                Some(value) => work.give_payload(reference.id, value),
                None => missing.push(reference),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        for new in self.store.payloads(&missing).await? {
            let id = new.reference.id;
            let value = new.value().map_err(|e| StoreError::Corrupt {
                run: work.run,
                problem: format!("payload {id} is not JSON: {e}"),
            })?;
            self.values.put(id, Arc::clone(&value));
            work.give_payload(id, value);
        }
        Ok(())
    }
}

fn refuse(items: Vec<Item>, error: &StoreError) {
    for item in items {
        item.answer(Err(LaneError::Store(error.clone())));
    }
}
