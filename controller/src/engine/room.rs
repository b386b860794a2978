//! Room in an answer that grants tasks. Inputs and journals are counted before any payload is read.
//!
//! What an answer has no room for is offered again and comes with a later one. A task that is too large by itself
//! would come with none: it is told apart, so that its step can fail instead of being granted for ever.

use fulcrum_core::payload::PayloadRef;
use fulcrum_core::run::JournalEntry;
use fulcrum_core::store::GrantedTask;

/// A task without its step, capability, input and journal; generously.
const TASK_BYTES: u64 = 1_024;
/// An entry of a journal without its name and outcome: digest and framing; generously.
const ENTRY_BYTES: u64 = 96;

/// What stands for a value that is not in the answer; generously.
const HANDLE_BYTES: u64 = 512;

/// What is left of an answer.
#[derive(Debug)]
pub(super) struct Room {
    left: u64,
    max: u64,
}

/// Whether an answer carries a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// This one does; its room is taken.
    Now,
    /// Another one can.
    Later,
    /// None can.
    Never,
}

impl Room {
    /// An empty answer of so many bytes.
    pub(super) fn of(answer_bytes_max: u64) -> Self {
        Self {
            left: answer_bytes_max,
            max: answer_bytes_max,
        }
    }

    /// Takes room for so many bytes, if there is any.
    pub(super) fn take(&mut self, bytes: u64) -> Fit {
        if bytes > self.max {
            return Fit::Never;
        }
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Fit::Now
            }
            None => Fit::Later,
        }
    }
}

/// Bytes of a task in an answer, with its journal; a little more than they will be. Values of more than `whole_bytes_max`
/// are not in it.
pub(super) fn bytes(task: &GrantedTask, journal: &[JournalEntry], whole_bytes_max: u32) -> u64 {
    let payload = |reference: &PayloadRef| {
        if reference.bytes > whole_bytes_max {
            HANDLE_BYTES
        } else {
            u64::from(reference.bytes)
        }
    };
    // The step stands in the task and in its lease token.
    let names = 2 * task.step.to_string().len() + task.capability.len();
    let entries = journal.iter().map(|entry| {
        let outcome = match &entry.result {
            Ok(output) => output.as_ref().map_or(0, &payload),
            Err(failure) => length(failure.code.len() + failure.message.len()),
        };
        ENTRY_BYTES + length(entry.name.len()) + outcome
    });
    TASK_BYTES + length(names) + payload(&task.input) + entries.sum::<u64>()
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_filled_and_not_overfilled() {
        let mut room = Room::of(10);
        assert_eq!(room.take(6), Fit::Now);
        assert_eq!(room.take(5), Fit::Later);
        assert_eq!(room.take(4), Fit::Now, "a smaller one behind it still fits");
        assert_eq!(room.take(1), Fit::Later);
    }

    #[test]
    fn what_fits_into_no_answer_is_told_apart() {
        let mut room = Room::of(10);
        assert_eq!(room.take(11), Fit::Never);
        assert_eq!(room.take(10), Fit::Now);
    }
}
