//! How joins count: the one piece of store behaviour that is a rule rather than storage, so both stores share it.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::command::{Mail, MailBody};
use crate::decide::decision::JoinItem;
use crate::ids::{CommitId, MailId, RunId};
use crate::store::commit::Commit;
use crate::store::ops::{JoinKey, JoinOp};

/// A join row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinState {
    /// Children that closed.
    pub closed: u32,
    /// Children that failed or were cancelled.
    pub failed: u32,
    /// The parent hears of every count from here on.
    pub notify_at: u32,
    /// The parent also hears of the first failure.
    pub notify_on_failure: bool,
    /// The highest count that the parent was told.
    pub announced: u32,
}

/// The joins that a batch touches: loaded, changed by its ops in order, and written back.
#[derive(Debug, Clone, Default)]
pub struct JoinBatch {
    /// Joins as they stand; one that does not exist is absent.
    pub states: BTreeMap<JoinKey, JoinState>,
    /// Items that closed in earlier batches.
    pub known: BTreeSet<(JoinKey, u32)>,
    /// Items that closed in this batch.
    pub items: BTreeMap<(JoinKey, u32), JoinItem>,
    /// Joins whose rows and items go, before anything is written.
    pub closed: BTreeSet<JoinKey>,
    /// Who changed each join last.
    tellers: BTreeMap<JoinKey, Teller>,
    /// Joins of which a child failed in this batch, and none had before.
    first_failed: BTreeSet<JoinKey>,
}

/// Who changed a join last in a batch: the sender of what the parent is told, and the commit that names the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teller {
    /// The run.
    pub run: RunId,
    /// Its commit.
    pub commit: CommitId,
}

impl Teller {
    /// The commit's author.
    #[must_use]
    pub fn of(commit: &Commit) -> Self {
        Self {
            run: commit.head.run,
            commit: commit.id,
        }
    }

    /// What the parent is told.
    #[must_use]
    pub fn tell(self, key: &JoinKey, closed: u32, failed: u32) -> Mail {
        // A flush tells once of a join, and a commit is in one flush: its low bits are a number of their own.
        let occasion = self.commit.0.as_u128() as u64;
        Mail {
            id: MailId::of(key.run, &format!("join {}", key.step), occasion),
            to: key.run,
            root: key.root,
            from: self.run,
            body: MailBody::JoinProgressed {
                step: key.step.clone(),
                closed,
                failed,
            },
        }
    }
}

impl JoinBatch {
    /// Joins as they stand, and those of their items that closed in earlier batches.
    #[must_use]
    pub fn on(states: BTreeMap<JoinKey, JoinState>, known: BTreeSet<(JoinKey, u32)>) -> Self {
        Self {
            states,
            known,
            ..Self::default()
        }
    }

    /// Applies one op. Items of a join that does not exist are dropped: the parent gave it up.
    pub fn apply(&mut self, by: Teller, op: JoinOp) {
        self.tellers.insert(op.key().clone(), by);
        match op {
            JoinOp::Open {
                key,
                notify_at,
                notify_on_failure,
            } => {
                let fresh = JoinState {
                    closed: 0,
                    failed: 0,
                    notify_at,
                    notify_on_failure,
                    announced: 0,
                };
                let state = self.states.entry(key).or_insert(fresh);
                state.notify_at = notify_at;
                state.notify_on_failure = notify_on_failure;
            }
            JoinOp::NotifyAt { key, notify_at } => {
                if let Some(state) = self.states.get_mut(&key) {
                    state.notify_at = notify_at;
                }
            }
            JoinOp::ItemClosed {
                key,
                index,
                output,
                failure,
            } => {
                let at = (key, index);
                let Some(state) = self.states.get_mut(&at.0) else {
                    return;
                };
                if self.known.contains(&at) || self.items.contains_key(&at) {
                    return;
                }
                state.closed = state.closed.saturating_add(1);
                if failure.is_some() {
                    if state.failed == 0 {
                        self.first_failed.insert(at.0.clone());
                    }
                    state.failed = state.failed.saturating_add(1);
                }
                self.items.insert(
                    at,
                    JoinItem {
                        index,
                        output,
                        failure,
                    },
                );
            }
            JoinOp::Close { key } => {
                self.states.remove(&key);
                self.first_failed.remove(&key);
                self.known.retain(|(of, _)| *of != key);
                self.items.retain(|(of, _), _| *of != key);
                self.closed.insert(key);
            }
        }
    }

    /// After the last op of a flush: what parents are told, by key.
    pub fn announce(&mut self) -> Vec<Mail> {
        let mut mail = Vec::new();
        let first_failed = std::mem::take(&mut self.first_failed);
        for (key, teller) in &std::mem::take(&mut self.tellers) {
            let Some(state) = self.states.get_mut(key) else {
                continue;
            };
            let failed = state.notify_on_failure && first_failed.contains(key);
            if (state.closed >= state.notify_at || failed) && state.closed > state.announced {
                state.announced = state.closed;
                mail.push(teller.tell(key, state.closed, state.failed));
            }
        }
        mail
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::StepKey;
    use crate::failure::Failure;
    use crate::ids::Shard;
    use crate::time::Timestamp;

    fn key() -> JoinKey {
        let run = RunId::new(Timestamp::from_millis(1), Shard(1), 1);
        JoinKey {
            run,
            root: run,
            step: StepKey::first("items"),
        }
    }

    fn closed(index: u32, failure: Option<Failure>) -> JoinOp {
        JoinOp::ItemClosed {
            key: key(),
            index,
            output: None,
            failure,
        }
    }

    fn child() -> Teller {
        Teller {
            run: RunId::child(key().run, "items~1", 0),
            commit: CommitId(uuid::Uuid::from_u128(7)),
        }
    }

    /// Applies ops as one flush, and gives the counts that the parent is told.
    fn flush(batch: &mut JoinBatch, ops: impl IntoIterator<Item = JoinOp>) -> Vec<(u32, u32)> {
        ops.into_iter().for_each(|op| batch.apply(child(), op));
        let counts = |m: Mail| match m.body {
            MailBody::JoinProgressed { closed, failed, .. } => (closed, failed),
            MailBody::Start(_) | MailBody::Cancel { .. } | MailBody::Continue => (0, 0),
        };
        let told = batch.announce().into_iter().map(counts).collect();
        let known = batch.known.iter().chain(batch.items.keys());
        *batch = JoinBatch::on(batch.states.clone(), known.cloned().collect());
        told
    }

    fn opened(notify_at: u32, notify_on_failure: bool) -> JoinBatch {
        let mut batch = JoinBatch::default();
        let open = JoinOp::Open {
            key: key(),
            notify_at,
            notify_on_failure,
        };
        assert_eq!(flush(&mut batch, [open]), []);
        batch
    }

    fn notify_at(notify_at: u32) -> JoinOp {
        JoinOp::NotifyAt {
            key: key(),
            notify_at,
        }
    }

    #[test]
    fn the_parent_hears_once_a_flush_from_the_threshold_on() {
        let mut batch = opened(2, false);
        let mut flushed = |indices: &[u32]| {
            let ops: Vec<JoinOp> = indices.iter().map(|index| closed(*index, None)).collect();
            flush(&mut batch, ops)
        };
        assert_eq!(flushed(&[0]), []);
        assert_eq!(flushed(&[1, 1, 2]), [(3, 0)]);
        assert_eq!(flushed(&[2, 1]), []);
        assert_eq!(flushed(&[4, 5]), [(5, 0)]);
    }

    #[test]
    fn the_parent_hears_of_the_first_failure_when_it_asked_to() {
        let mut batch = opened(10, true);
        let failed = |index| closed(index, Some(Failure::fatal("X", "x")));
        assert_eq!(flush(&mut batch, [closed(0, None)]), []);
        assert_eq!(flush(&mut batch, [failed(1), failed(2)]), [(3, 2)]);
        assert_eq!(flush(&mut batch, [failed(3)]), []);
    }

    #[test]
    fn a_threshold_that_was_passed_already_is_announced_at_once() {
        let mut batch = opened(10, false);
        assert_eq!(flush(&mut batch, [closed(0, None)]), []);
        assert_eq!(flush(&mut batch, [notify_at(1)]), [(1, 0)]);
        assert_eq!(flush(&mut batch, [notify_at(1)]), []);
    }

    #[test]
    fn a_child_of_a_closed_join_leaves_nothing_behind() {
        let mut batch = opened(1, true);
        batch.apply(child(), closed(0, Some(Failure::fatal("X", "x"))));
        batch.apply(child(), JoinOp::Close { key: key() });
        batch.apply(child(), closed(1, None));
        assert_eq!(batch.announce(), []);
        assert!(batch.items.is_empty() && batch.states.is_empty());
    }
}
