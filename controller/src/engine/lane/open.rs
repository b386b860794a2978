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
    /// Groups a batch by run and loads what is not cached.
    pub(super) async fn open(
        &mut self,
        batch: Vec<Item>,
    ) -> Result<BTreeMap<RunId, Work>, (StoreError, Vec<Item>)> {
        let mut groups: BTreeMap<RunId, Vec<Item>> = BTreeMap::new();
        for item in batch {
            groups.entry(item.command.run).or_default().push(item);
        }
        let mut cached: BTreeMap<RunId, CachedRun> = BTreeMap::new();
        let mut remembered = BTreeSet::new();
        let mut missing = Vec::new();
        for (run, items) in &groups {
            match self.cache.take(*run) {
                Some(found) => {
                    remembered.insert(*run);
                    cached.insert(*run, found);
                }
                // A fresh start is decided on nothing; if the run exists after all, the commit conflicts and reloads.
                None if items[0].conflicts == 0 && is_start(&items[0].command.kind) => {}
                None => missing.push(*run),
            }
        }
        let mut corrupt: BTreeMap<RunId, StoreError> = BTreeMap::new();
        if !missing.is_empty() {
            match self.load(&missing, &mut corrupt).await {
                Ok(loaded) => cached.extend(loaded),
                Err(error) => return Err((error, groups.into_values().flatten().collect())),
            }
        }
        let mut works = BTreeMap::new();
        for (run, items) in groups {
            if let Some(error) = corrupt.remove(&run) {
                tracing::error!(%run, %error, "the run is corrupt and takes no commands");
                for item in items {
                    item.answer(Err(LaneError::Store(error.clone())));
                }
                continue;
            }
            let knowledge = if remembered.contains(&run) {
                Knowledge::Remembered
            } else {
                Knowledge::Read
            };
            let mut work = Work::new(
                run,
                cached.remove(&run),
                knowledge,
                self.options.limits,
                &mut self.values,
            );
            for item in items {
                work.push(item);
            }
            works.insert(run, work);
        }
        Ok(works)
    }

    async fn load(
        &self,
        missing: &[RunId],
        corrupt: &mut BTreeMap<RunId, StoreError>,
    ) -> Result<Vec<(RunId, CachedRun)>, StoreError> {
        let mut runs = Vec::new();
        for (id, folded) in load(self.store.as_ref(), missing).await? {
            match folded {
                Ok(Folded {
                    run,
                    head,
                    snapshot,
                }) => match self.catalog.plan(run.origin.definition).await? {
                    Ok(plan) => {
                        let payloads = BTreeSet::new();
                        runs.push((
                            id,
                            CachedRun {
                                run: Arc::new(run),
                                head,
                                plan,
                                snapshot,
                                payloads,
                            },
                        ));
                    }
                    Err(problem) => {
                        corrupt.insert(id, StoreError::Corrupt { run: id, problem });
                    }
                },
                Err(error) => {
                    corrupt.insert(id, error);
                }
            }
        }
        Ok(runs)
    }

    /// Decides everything that waits in a work, fetching what the core asks for.
    pub(super) async fn decide(&mut self, work: &mut Work) -> Result<(), StoreError> {
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
            let value = new.payload.to_value().map_err(|e| StoreError::Corrupt {
                run: work.run,
                problem: format!("payload {id} is not JSON: {e}"),
            })?;
            let value = Arc::new(value);
            self.values.put(id, Arc::clone(&value));
            work.give_payload(id, value);
        }
        Ok(())
    }
}
