//! What people were told: everything in here was acknowledged, and must be found in the timelines.

use std::collections::BTreeMap;

use fulcrum_core::ids::{ReviewId, RunId};
use serde_json::Value;

use crate::cluster::call::Verdict;
use crate::workflows::Workflow;

/// What people asked for and were promised.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Runs whose start was acknowledged, by the request that started them.
    pub started: BTreeMap<String, Started>,
    /// Idempotency keys and the runs that they led to.
    pub keys: BTreeMap<String, RunId>,
    /// Acknowledged signals: the marker that they carried, and to whom.
    pub signals: BTreeMap<String, RunId>,
    /// Acknowledged decisions.
    pub decisions: Vec<(RunId, ReviewId, Verdict)>,
    /// Runs that somebody asked to end, whatever came of it.
    pub cancelled: Vec<RunId>,
    /// Runs whose end was acknowledged as asked for.
    pub cancels: Vec<RunId>,
}

/// A run that somebody was promised.
#[derive(Debug, Clone)]
pub struct Started {
    /// The run.
    pub run: RunId,
    /// What it is a run of.
    pub workflow: Workflow,
    /// Its input.
    pub input: Value,
}
