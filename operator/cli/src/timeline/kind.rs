//! The numbers that stand for event kinds in the hash chain. The chain covers the numbers;
//! people are shown the names.

/// Names by number. Kinds are only ever added at the end.
pub const KINDS: &[&str] = &[
    "RunStarted",
    "StepSkipped",
    "StepOpened",
    "StepCompleted",
    "AttemptFailed",
    "LeaseExpired",
    "StepFailed",
    "StepCancelled",
    "ReviewDecided",
    "SignalReceived",
    "SignalConsumed",
    "ItemsSpawned",
    "JoinProgressed",
    "VariableSet",
    "CheckpointReached",
    "JournalRecorded",
    "JournalRequested",
    "StepParked",
    "StepResumed",
    "RunCancelRequested",
    "RunReturning",
    "RunCompleted",
    "RunFailed",
    "RunCancelled",
    "StepTimedOut",
    "ItemsCancelled",
];

/// The name of a kind; `None` if a later version added it.
#[must_use]
pub fn name(number: u16) -> Option<&'static str> {
    KINDS.get(usize::from(number)).copied()
}

/// Whether an event of this kind ends a run's timeline.
#[must_use]
pub fn is_last(name: &str) -> bool {
    matches!(name, "RunCompleted" | "RunFailed" | "RunCancelled")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The core's own table of names, in the order of its variants.
    const CORE: &str = include_str!("../../../../controller/core/src/event.rs");

    #[test]
    fn the_kinds_are_those_of_the_core_in_its_order() {
        let (_, names) = CORE
            .split_once("pub fn name(&self)")
            .expect("the core names its kinds");
        let body = names.split("\n    }\n").next().expect("the function ends");
        let named: Vec<_> = body
            .lines()
            .filter_map(|line| line.split("=> \"").nth(1)?.split('"').next())
            .collect();
        assert_eq!(named, KINDS);
    }
}
