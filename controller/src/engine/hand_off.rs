//! The direct hand-off of a batch: slots are taken before the commit and used, or put back, after it.

use std::collections::BTreeMap;

use fulcrum_core::ids::{TaskId, WorkerId};
use fulcrum_core::store::{Commit, GrantedTask};
use fulcrum_core::task::{HandOff, NewTask, TaskOp};
use fulcrum_core::time::{Millis, Timestamp};
use uuid::Uuid;

use super::dispatch::hall::Hall;
use super::dispatch::poll::Parcel;
use crate::entropy::Entropy;

/// A larger input is not kept for its worker, who mostly reads it by itself.
const AT_HAND_BYTES_MAX: u32 = 1 << 20;

/// Slots taken for the new tasks of a batch. What is not used goes back when this is dropped, however that happens.
#[derive(Debug)]
pub(super) struct HandOffs {
    hall: Hall,
    taken: BTreeMap<TaskId, WorkerId>,
}

impl HandOffs {
    /// Takes a slot for each new task that may start now, and writes the hand-offs into the commits.
    pub(super) fn take(
        hall: &Hall,
        commits: &mut [Commit],
        now: Timestamp,
        lease: Millis,
        entropy: &Entropy,
    ) -> Self {
        let mut taken = BTreeMap::new();
        for commit in commits {
            for op in &commit.tasks {
                let TaskOp::Create(new) = op else { continue };
                if new.ready_at > now {
                    continue;
                }
                // Without a nonce there is no lease; a claim will find the task.
                let Ok(block) = entropy.block() else { continue };
                let (nonce, _) = block
                    .split_first_chunk()
                    .expect("sixteen of thirty-two bytes");
                if let Some(worker) = hall.take(new.namespace, &new.capability) {
                    taken.insert(new.task, worker);
                    commit.hand_offs.push(HandOff {
                        task: new.task,
                        worker,
                        nonce: Uuid::from_bytes(*nonce),
                        lease,
                    });
                }
            }
        }
        Self {
            hall: hall.clone(),
            taken,
        }
    }

    /// After the commit: what it leased goes to the workers, with the inputs that it wrote.
    pub(super) fn hand(mut self, granted: Vec<GrantedTask>, commits: &[Commit]) {
        let payloads: BTreeMap<_, _> = commits
            .iter()
            .flat_map(|commit| &commit.payloads)
            .map(|new| (new.reference.id, &new.payload))
            .collect();
        let mut parcels = Vec::with_capacity(granted.len());
        for task in granted {
            self.taken.remove(&task.lease.task);
            // A task that was granted before may have a journal, which has to be read.
            let first = task.lease.seq == 1;
            let input = payloads
                .get(&task.input.id)
                .filter(|_| first && task.input.bytes <= AT_HAND_BYTES_MAX)
                .map(|payload| (*payload).clone());
            parcels.push(Parcel { task, input });
        }
        self.hall.hand(parcels);
    }
}

impl Drop for HandOffs {
    fn drop(&mut self) {
        for worker in self.taken.values() {
            self.hall.put_back(*worker);
        }
    }
}

/// Tells the hall what a commit made ready and did not hand off.
pub(super) fn announce(hall: &Hall, commit: &Commit, now: Timestamp) {
    let handed = |new: &NewTask| commit.hand_offs.iter().any(|hand| hand.task == new.task);
    for op in &commit.tasks {
        match op {
            TaskOp::Create(new) if handed(new) => {}
            TaskOp::Create(new) if new.ready_at <= now => {
                hall.leave(new.namespace, &new.capability);
            }
            TaskOp::Create(new) => hall.expect(new.namespace, new.ready_at),
            TaskOp::Release { ready_at, .. } => hall.expect(commit.head.namespace, *ready_at),
            TaskOp::Resume { .. } => hall.expect(commit.head.namespace, now),
            TaskOp::Park { .. } | TaskOp::Remove { .. } => {}
        }
    }
}
