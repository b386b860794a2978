//! The meter of one evaluation.

use std::cell::Cell;

use crate::expr::error::{ErrorKind, ExpressionError};
use crate::limits::Limits;

/// Why an evaluation stopped.
#[derive(Debug)]
pub(super) enum Fault {
    /// The data does not fit. `&&` and `||` may absorb it, as CEL wants.
    Data(String),
    /// The budget is used up; nothing absorbs this.
    Exhausted(String),
}

impl Fault {
    pub(super) fn data(message: impl Into<String>) -> Self {
        Fault::Data(message.into())
    }

    pub(super) fn into_error(self) -> ExpressionError {
        match self {
            Fault::Data(message) => ExpressionError::new(ErrorKind::Evaluation, message),
            Fault::Exhausted(message) => ExpressionError::new(ErrorKind::Limit, message),
        }
    }
}

/// What an evaluation may still spend.
#[derive(Debug)]
pub(super) struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    steps_max: u64,
    bytes_max: u64,
}

/// Characters that are looked at for the price of one step.
const CHARS_PER_STEP: usize = 64;

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        let steps_max = u64::from(limits.expression_steps_max);
        // What is made on the way may be larger than what comes out, but not by much.
        let bytes_max = u64::from(limits.payload_bytes_max) * 4;
        Self {
            steps: Cell::new(steps_max),
            bytes: Cell::new(bytes_max),
            steps_max,
            bytes_max,
        }
    }

    /// One node visited, one element looked at.
    pub(super) fn step(&self) -> Result<(), Fault> {
        self.steps(1)
    }

    /// A text looked through.
    pub(super) fn scan(&self, bytes: usize) -> Result<(), Fault> {
        self.steps((bytes / CHARS_PER_STEP) as u64 + 1)
    }

    pub(super) fn steps(&self, n: u64) -> Result<(), Fault> {
        match self.steps.get().checked_sub(n) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => Err(Fault::Exhausted(format!(
                "the evaluation takes more than {} steps (expression_steps_max); give it less data or move the work into a step",
                self.steps_max
            ))),
        }
    }

    /// Memory taken: a text, a list's slots, a map's entries, the result.
    pub(super) fn bytes(&self, n: usize) -> Result<(), Fault> {
        match self.bytes.get().checked_sub(n as u64) {
            Some(left) => {
                self.bytes.set(left);
                Ok(())
            }
            None => Err(Fault::Exhausted(format!(
                "the evaluation makes more than {} bytes (4 × payload_bytes_max); give it less data or move the work into a step",
                self.bytes_max
            ))),
        }
    }
}
