//! From what is stored to a run: the fold, with its hash chain verified on the way.
//!
//! Each run is folded for itself: one whose bytes are spoiled, or were written by a newer controller, fails alone.

use crate::event::ChainHash;
use crate::ids::RunId;
use crate::run::Run;
use crate::store::commit::{LoadedRun, RunHead, SnapshotMark, Unreadable};
use crate::store::{Since, StoreError};

/// A run with its row, ready for decisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    /// The state.
    pub run: Run,
    /// The row.
    pub head: RunHead,
    /// Its newest snapshot.
    pub snapshot: SnapshotMark,
}

/// Why a loaded run gives no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfolded {
    /// The snapshot was written by another version: load again [`Since::Birth`].
    ForeignSnapshot,
    /// It cannot be used.
    Unusable(StoreError),
}

impl LoadedRun {
    /// Folds the events onto the snapshot.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if bytes do not decode, the chain is broken or the row disagrees with it;
    /// [`StoreError::Newer`] if the bytes are sound but of a kind that this version does not know.
    pub fn fold(self) -> Result<Folded, Unfolded> {
        let id = self.head.run;
        let (mut run, mut chain, mark) = match self.snapshot {
            Some(snapshot) => {
                let Ok(run) = Run::from_bytes(&snapshot.state) else {
                    return Err(Unfolded::ForeignSnapshot);
                };
                let mark = SnapshotMark {
                    seq: snapshot.seq,
                    bytes: snapshot.state.len() as u64,
                };
                (Some(run), snapshot.chain, mark)
            }
            None => (None, ChainHash::default(), SnapshotMark::default()),
        };
        for event in &self.events {
            let envelope = event
                .open(id, chain)
                .map_err(|problem| unusable(id, problem))?;
            chain = event.hash;
            match &mut run {
                Some(run) => run.evolve(&envelope),
                None => {
                    let first = Run::from_started(id, &envelope);
                    run = Some(
                        first.ok_or_else(|| corrupt(id, "the first event is not RunStarted"))?,
                    );
                }
            }
        }
        let run = run.ok_or_else(|| corrupt(id, "the run has no events"))?;
        if run.id != id {
            return Err(corrupt(id, "the snapshot is of another run"));
        }
        if chain != self.head.chain || run.last_seq != self.head.last_seq {
            return Err(corrupt(
                id,
                format!(
                    "the run row is at event {}, the timeline at {}",
                    self.head.last_seq, run.last_seq
                ),
            ));
        }
        Ok(Folded {
            run,
            head: self.head,
            snapshot: mark,
        })
    }
}

impl Unfolded {
    /// The error, where loading `since` birth does not help either.
    #[must_use]
    pub fn after(self, run: RunId, since: Since) -> Option<StoreError> {
        match (self, since) {
            (Unfolded::ForeignSnapshot, Since::Snapshot) => None,
            (Unfolded::ForeignSnapshot, Since::Birth) => Some(StoreError::Corrupt {
                run,
                problem: "it was loaded from its birth and came with a snapshot".to_owned(),
            }),
            (Unfolded::Unusable(error), Since::Snapshot | Since::Birth) => Some(error),
        }
    }
}

fn unusable(run: RunId, problem: Unreadable) -> Unfolded {
    Unfolded::Unusable(problem.of(run))
}

fn corrupt(run: RunId, problem: impl Into<String>) -> Unfolded {
    unusable(run, Unreadable::Corrupt(problem.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EVENT_SCHEMA;
    use crate::ids::{CommitId, DefinitionHash, NamespaceId, Shard};
    use crate::store::RunStatus;
    use crate::store::commit::{Snapshot, StoredEvent};
    use crate::time::Timestamp;
    use uuid::Uuid;

    fn stored(kind: u16, body: Vec<u8>) -> LoadedRun {
        let run = RunId::new(Timestamp::from_millis(1), Shard(1), 1);
        let hash = ChainHash::default().next(run, 1, kind, EVENT_SCHEMA, &body);
        LoadedRun {
            head: RunHead {
                run,
                namespace: NamespaceId(Uuid::from_u128(1)),
                shard: run.shard(),
                root: run,
                parent: None,
                workflow: "w".to_owned(),
                definition: DefinitionHash([0; 32]),
                status: RunStatus::Running,
                version: 1,
                last_seq: 1,
                chain: hash,
                started_at: Timestamp::from_millis(1),
                closed_at: None,
                idempotency_key: None,
            },
            snapshot: None,
            events: vec![StoredEvent {
                seq: 1,
                kind,
                schema: EVENT_SCHEMA,
                body,
                hash,
            }],
            commit: CommitId(run.0),
        }
    }

    #[test]
    fn an_event_of_an_unknown_kind_is_newer_and_one_that_does_not_decode_is_corrupt() {
        let newer = stored(60_000, vec![1, 2, 3]).fold();
        assert!(
            matches!(&newer, Err(Unfolded::Unusable(StoreError::Newer { .. }))),
            "{newer:?}"
        );
        let spoiled = stored(2, vec![1, 2, 3]).fold();
        assert!(
            matches!(
                &spoiled,
                Err(Unfolded::Unusable(StoreError::Corrupt { .. }))
            ),
            "{spoiled:?}"
        );
    }

    #[test]
    fn an_unknown_kind_whose_chain_is_broken_is_corrupt() {
        let mut loaded = stored(60_000, vec![1, 2, 3]);
        loaded.events[0].body[0] = 9;
        let spoiled = loaded.fold();
        assert!(
            matches!(
                &spoiled,
                Err(Unfolded::Unusable(StoreError::Corrupt { .. }))
            ),
            "{spoiled:?}"
        );
    }

    #[test]
    fn a_snapshot_of_another_version_asks_for_the_events_instead() {
        let mut loaded = stored(2, Vec::new());
        loaded.snapshot = Some(Snapshot {
            seq: 1,
            chain: loaded.head.chain,
            state: vec![255; 8],
        });
        assert_eq!(loaded.fold(), Err(Unfolded::ForeignSnapshot));
    }
}
