//! How joins count: the one piece of store behaviour that is a rule rather than storage, so both stores share it.

use std::collections::{BTreeMap, BTreeSet};

use crate::decide::command::{Mail, MailBody};
use crate::decide::decision::JoinItem;
use crate::ids::{MailId, RunId};
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
    /// What parents are told.
    pub mail: Vec<Mail>,
}

impl JoinBatch {
    /// Applies one op of a commit to `by`. Items of a join that does not exist are dropped: the parent gave it up.
    pub fn apply(&mut self, by: RunId, op: JoinOp) {
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
                let state = self.states.entry(key.clone()).or_insert(fresh);
                state.notify_at = notify_at;
                state.notify_on_failure = notify_on_failure;
                self.announce(by, &key, FirstFailure::No);
            }
            JoinOp::NotifyAt { key, notify_at } => {
                if let Some(state) = self.states.get_mut(&key) {
                    state.notify_at = notify_at;
                    self.announce(by, &key, FirstFailure::No);
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
                let mut first = FirstFailure::No;
                if failure.is_some() {
                    state.failed = state.failed.saturating_add(1);
                    if state.failed == 1 {
                        first = FirstFailure::Yes;
                    }
                }
                self.announce(by, &at.0, first);
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
                self.known.retain(|(of, _)| *of != key);
                self.items.retain(|(of, _), _| *of != key);
                self.closed.insert(key);
            }
        }
    }

    fn announce(&mut self, by: RunId, key: &JoinKey, first: FirstFailure) {
        let Some(state) = self.states.get_mut(key) else {
            return;
        };
        let wanted = state.closed >= state.notify_at
            || (state.notify_on_failure && first == FirstFailure::Yes);
        if !wanted || state.announced >= state.closed {
            return;
        }
        state.announced = state.closed;
        self.mail.push(Mail {
            id: MailId::of(
                key.run,
                &format!("join {}", key.step),
                u64::from(state.closed),
            ),
            to: key.run,
            root: key.root,
            from: by,
            body: MailBody::JoinProgressed {
                step: key.step.clone(),
                closed: state.closed,
                failed: state.failed,
            },
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstFailure {
    Yes,
    No,
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

    fn told(batch: &JoinBatch) -> Vec<(u32, u32)> {
        let counts = |m: &Mail| match &m.body {
            MailBody::JoinProgressed { closed, failed, .. } => (*closed, *failed),
            MailBody::Start(_) | MailBody::Cancel { .. } | MailBody::Continue => (0, 0),
        };
        batch.mail.iter().map(counts).collect()
    }

    fn opened(notify_at: u32, notify_on_failure: bool) -> JoinBatch {
        let mut batch = JoinBatch::default();
        batch.apply(
            key().run,
            JoinOp::Open {
                key: key(),
                notify_at,
                notify_on_failure,
            },
        );
        batch
    }

    #[test]
    fn the_parent_hears_once_of_each_count_from_the_threshold_on() {
        let mut batch = opened(2, false);
        for index in [0, 1, 1, 2] {
            batch.apply(key().run, closed(index, None));
        }
        batch.apply(
            key().run,
            JoinOp::NotifyAt {
                key: key(),
                notify_at: 3,
            },
        );
        assert_eq!(told(&batch), [(2, 0), (3, 0)]);
    }

    #[test]
    fn the_parent_hears_of_the_first_failure_when_it_asked_to() {
        let mut batch = opened(10, true);
        for index in 0..3 {
            batch.apply(key().run, closed(index, Some(Failure::fatal("X", "x"))));
        }
        assert_eq!(told(&batch), [(1, 1)]);
    }

    #[test]
    fn a_threshold_that_was_passed_already_is_announced_at_once() {
        let mut batch = opened(10, false);
        batch.apply(key().run, closed(0, None));
        batch.apply(
            key().run,
            JoinOp::NotifyAt {
                key: key(),
                notify_at: 1,
            },
        );
        assert_eq!(told(&batch), [(1, 0)]);
    }

    #[test]
    fn a_child_of_a_closed_join_leaves_nothing_behind() {
        let mut batch = opened(1, false);
        batch.apply(key().run, JoinOp::Close { key: key() });
        batch.apply(key().run, closed(0, None));
        assert!(batch.items.is_empty() && batch.mail.is_empty() && batch.states.is_empty());
    }
}
