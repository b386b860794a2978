//! Grants made ready for the wire: with their input and, from the second grant on, their journal.

use fulcrum_core::effect::effect_key;
use fulcrum_core::failure::Failure;
use fulcrum_core::ids::{RunId, TaskId};
use fulcrum_core::payload::{Payload, PayloadRef};
use fulcrum_core::run::{JournalEntry, Run};
use fulcrum_core::store::{GrantedTask, Store, StoreError};
use std::collections::BTreeMap;

use super::lane::restore;

/// A granted task with everything that its worker needs.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The grant.
    pub task: GrantedTask,
    /// The input.
    pub input: Payload,
    /// Stable over attempts.
    pub effect_key: String,
    /// Closed operations of the task's journal.
    pub journal: Vec<ClosedOperation>,
}

/// A closed operation.
#[derive(Debug, Clone)]
pub struct ClosedOperation {
    /// Its name in the task.
    pub name: String,
    /// Digest of its input as the worker computed it.
    pub input_digest: [u8; 32],
    /// How it ended. No payload means null.
    pub result: Result<Option<Payload>, Failure>,
}

/// Loads what the grants refer to, in a query for all of them. Only a task that was granted before can have a
/// journal, so first grants cost no look at the run.
pub async fn deliveries<S: Store>(
    store: &S,
    granted: Vec<GrantedTask>,
) -> Result<Vec<Delivery>, StoreError> {
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    let journals = journals(store, &granted).await?;
    let mut wanted: Vec<PayloadRef> = granted.iter().map(|task| task.input).collect();
    for entries in journals.values() {
        wanted.extend(
            entries
                .iter()
                .filter_map(|entry| entry.result.as_ref().ok().copied().flatten()),
        );
    }
    wanted.sort_unstable();
    wanted.dedup();
    let payloads: BTreeMap<_, _> = store
        .payloads(&wanted)
        .await?
        .into_iter()
        .map(|new| (new.reference.id, new.payload))
        .collect();
    let find = |run: RunId, reference: PayloadRef| {
        payloads
            .get(&reference.id)
            .cloned()
            .ok_or_else(|| StoreError::Corrupt {
                run,
                problem: format!("payload {} is missing", reference.id),
            })
    };
    granted
        .into_iter()
        .map(|task| {
            let mut journal = Vec::new();
            for entry in journals.get(&task.lease.task).into_iter().flatten() {
                let result = match &entry.result {
                    Ok(reference) => Ok(reference
                        .map(|reference| find(task.run, reference))
                        .transpose()?),
                    Err(failure) => Err(failure.clone()),
                };
                journal.push(ClosedOperation {
                    name: entry.name.clone(),
                    input_digest: entry.input_digest,
                    result,
                });
            }
            Ok(Delivery {
                input: find(task.run, task.input)?,
                effect_key: effect_key(task.namespace, task.run, &task.step, "call"),
                journal,
                task,
            })
        })
        .collect()
}

async fn journals<S: Store>(
    store: &S,
    granted: &[GrantedTask],
) -> Result<BTreeMap<TaskId, Vec<JournalEntry>>, StoreError> {
    let again: Vec<&GrantedTask> = granted.iter().filter(|task| task.lease.seq > 1).collect();
    let mut runs: Vec<RunId> = again.iter().map(|task| task.run).collect();
    runs.sort_unstable();
    runs.dedup();
    let mut states: BTreeMap<RunId, Run> = BTreeMap::new();
    if !runs.is_empty() {
        for loaded in store.load(&runs).await?.into_iter().flatten() {
            let id = loaded.head.run;
            states.insert(id, restore(loaded)?.0);
        }
    }
    Ok(again
        .into_iter()
        .filter_map(|task| {
            Some((
                task.lease.task,
                states.get(&task.run)?.journal_of(&task.step),
            ))
        })
        .collect())
}
