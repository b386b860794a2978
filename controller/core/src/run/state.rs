//! The state of a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{RunStarted, StepKey};
use crate::failure::Failure;
use crate::ids::RunId;
use crate::payload::PayloadRef;
use crate::run::shelf::Shelf;
use crate::run::step::StepState;
use crate::store::RunStatus;
use crate::time::Timestamp;

/// Raised whenever the shape of [`Run`] changes: the snapshots of other versions are passed over, and their runs folded
/// from the events. Not 16, with which the first unversioned snapshots began.
const SNAPSHOT_SCHEMA: u8 = 1;

/// A run. Everything in it follows from its events; only [`Run::evolve`] changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// What it was started with.
    pub origin: Arc<RunStarted>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// Where it stands.
    pub status: RunStatus,
    /// Why somebody asked it to end.
    pub cancel_reason: Option<String>,
    /// Set once a `return` was reached.
    pub returning: Option<Returning>,
    /// The output, once it has succeeded with one.
    pub output: Option<PayloadRef>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Its steps, by key.
    pub steps: Shelf<StepState>,
    /// The open ones among them.
    pub open: BTreeSet<StepKey>,
    /// Variables.
    pub vars: BTreeMap<String, PayloadRef>,
    /// Signals that no `wait` has taken yet, oldest first.
    pub signals: VecDeque<KeptSignal>,
    /// `seq` of the last event folded in.
    pub last_seq: u64,
}

/// A `return` under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returning {
    /// What the run will give.
    pub output: Option<PayloadRef>,
}

/// A signal that waits for its `wait`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptSignal {
    /// Its name.
    pub name: String,
    /// What it carries.
    pub payload: Option<PayloadRef>,
}

impl Run {
    /// A step by its key.
    #[must_use]
    pub fn step(&self, key: &StepKey) -> Option<&StepState> {
        self.steps.get(key)
    }

    /// The open steps, by key.
    pub fn open_steps(&self) -> impl Iterator<Item = &StepState> {
        self.open.iter().filter_map(|key| self.steps.get(key))
    }

    /// Has it ended?
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.status.is_closed()
    }

    /// The fold as stored in a snapshot: its shape's version, then the state in postcard.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![SNAPSHOT_SCHEMA]).expect("a run holds only encodable types")
    }

    /// The fold of a snapshot.
    ///
    /// # Errors
    /// The bytes are not a run of this version: fold the events from the beginning instead.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, postcard::Error> {
        let Some((&SNAPSHOT_SCHEMA, state)) = bytes.split_first() else {
            return Err(postcard::Error::SerdeDeCustom);
        };
        match postcard::take_from_bytes(state)? {
            (run, []) => Ok(run),
            (_, [_, ..]) => Err(postcard::Error::SerdeDeCustom),
        }
    }
}
