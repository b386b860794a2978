//! What a definition contains, for listings.

use std::collections::BTreeSet;

use crate::definition::model::{Definition, Step, StepKind};
use crate::definition::walk::blocks;

/// Counts and names of a definition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// Steps at any depth.
    pub steps: u32,
    /// Capabilities that it calls.
    pub capabilities: BTreeSet<String>,
}

impl Contents {
    /// Looks through a definition.
    #[must_use]
    pub fn of(definition: &Definition) -> Self {
        let mut contents = Self::default();
        contents.add(&definition.steps);
        contents
    }

    fn add(&mut self, steps: &[Step]) {
        for step in steps {
            self.steps += 1;
            if let StepKind::Call { capability, .. } = &step.kind {
                self.capabilities.insert(capability.clone());
            }
            for (_, inner) in blocks(step) {
                self.add(inner);
            }
        }
    }
}
