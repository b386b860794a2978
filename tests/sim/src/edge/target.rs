//! The mock target: a service that applies effects, recognises keys it has seen, and keeps a ledger.

use std::collections::BTreeMap;

use fulcrum_core::event::StepKey;
use fulcrum_core::ids::RunId;

/// One effect, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What the target gave for it.
    pub receipt: u64,
    /// How often it was asked for.
    pub asked: u32,
    /// The run that asked first.
    pub run: RunId,
    /// Its step.
    pub step: StepKey,
}

/// The ledger of a target.
#[derive(Debug, Default)]
pub struct Target {
    ledger: BTreeMap<String, Applied>,
    keys: BTreeMap<(RunId, StepKey), String>,
}

impl Target {
    /// Asks for an effect. The first time it is applied; after that the key is recognised, and the same receipt comes
    /// back.
    ///
    /// # Errors
    /// When this step of this run came under another key before.
    pub fn apply(&mut self, key: &str, run: RunId, step: &StepKey) -> Result<Applied, String> {
        let of_step = self
            .keys
            .entry((run, step.clone()))
            .or_insert_with(|| key.to_owned());
        if of_step != key {
            return Err(format!("{run} {step} has effect keys {of_step} and {key}"));
        }
        let receipt = 1_000 + self.ledger.len() as u64;
        let applied = self.ledger.entry(key.to_owned()).or_insert(Applied {
            receipt,
            asked: 0,
            run,
            step: step.clone(),
        });
        applied.asked += 1;
        if (applied.run, &applied.step) != (run, step) {
            return Err(format!("{run} {step} uses the effect key of another step"));
        }
        Ok(applied.clone())
    }

    /// What a step of a run was given.
    #[must_use]
    pub fn of_step(&self, run: RunId, step: &StepKey) -> Option<&Applied> {
        self.ledger.get(self.keys.get(&(run, step.clone()))?)
    }
}
