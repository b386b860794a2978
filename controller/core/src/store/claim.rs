//! Which of the ready tasks go to whom: shared by both stores, so that grants are a function of what is ready.

use crate::ids::{NamespaceId, TaskId};
use crate::store::ops::ClaimRequest;
use crate::time::Timestamp;

/// The most tasks of one capability that one claim looks at.
pub const CLAIM_ROWS_MAX: i64 = 500;

/// A ready task as the claim sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The task.
    pub task: TaskId,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// What its worker must offer.
    pub capability: String,
    /// Higher is sooner.
    pub priority: i16,
    /// Older is sooner.
    pub ready_at: Timestamp,
}

impl Candidate {
    fn rank(&self) -> (std::cmp::Reverse<i16>, Timestamp, TaskId) {
        (std::cmp::Reverse(self.priority), self.ready_at, self.task)
    }
}

/// Serves the requests in order; each takes the best of what is left, up to its slots. Gives, per grant, the position
/// of its request.
#[must_use]
pub fn assign(
    requests: &[ClaimRequest],
    mut candidates: Vec<Candidate>,
) -> Vec<(usize, Candidate)> {
    candidates.sort_by_key(Candidate::rank);
    let mut grants = Vec::new();
    for (position, request) in requests.iter().enumerate() {
        let mut slots = request.slots;
        candidates.retain(|candidate| {
            let fits = slots > 0
                && candidate.namespace == request.namespace
                && request.capabilities.contains(&candidate.capability);
            if fits {
                slots -= 1;
                grants.push((position, candidate.clone()));
            }
            !fits
        });
    }
    grants
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{RunId, Shard, WorkerId};
    use uuid::Uuid;

    fn candidate(n: u64, capability: &str, priority: i16, ready_ms: i64) -> Candidate {
        let run = RunId::new(Timestamp::from_millis(1), Shard(0), n);
        Candidate {
            task: TaskId::of_step(run, "a~1"),
            namespace: NamespaceId(Uuid::nil()),
            capability: capability.to_owned(),
            priority,
            ready_at: Timestamp::from_millis(ready_ms),
        }
    }

    fn request(capabilities: &[&str], slots: u32) -> ClaimRequest {
        ClaimRequest {
            worker: WorkerId(Uuid::nil()),
            namespace: NamespaceId(Uuid::nil()),
            capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
            slots,
        }
    }

    #[test]
    fn the_highest_priority_goes_first_and_then_the_oldest() {
        let ready = vec![
            candidate(1, "a", 0, 5),
            candidate(2, "b", 9, 7),
            candidate(3, "a", 0, 1),
        ];
        let grants = assign(&[request(&["a", "b"], 3)], ready.clone());
        let order: Vec<_> = grants.iter().map(|(_, c)| c.task).collect();
        assert_eq!(order, [ready[1].task, ready[2].task, ready[0].task]);
    }

    #[test]
    fn nobody_gets_more_than_its_slots_or_what_it_did_not_offer() {
        let ready = vec![
            candidate(1, "a", 0, 1),
            candidate(2, "a", 0, 2),
            candidate(3, "c", 9, 3),
        ];
        let grants = assign(&[request(&["a"], 1), request(&["a", "b"], 5)], ready);
        assert_eq!(grants.iter().map(|(p, _)| *p).collect::<Vec<_>>(), [0, 1]);
    }
}
