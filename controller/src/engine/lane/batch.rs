//! What goes into a lane's next commit.

use std::collections::BTreeMap;

use fulcrum_core::ids::RunId;

use crate::engine::backlog::Drawn;
use crate::engine::work::Work;

/// Commands that are decided, by run.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The runs. A work is large and goes from hand to hand.
    pub(super) works: BTreeMap<RunId, Box<Work>>,
    /// What it was drawn from.
    pub(super) drawn: Drawn,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.works.is_empty()
    }
}
