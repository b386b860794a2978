//! How large a fault is staged.

use std::time::Duration;

/// Set to `full` by `make chaos`.
const VARIABLE: &str = "FULCRUM_CHAOS";

/// The size of everything staged by this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// What `make test` can afford on two busy cores.
    Smoke,
    /// What the fault's row in `docs/robustness.md` says.
    Full,
}

impl Scale {
    /// What this process was asked for. Says so in the test's output when it is the smaller one.
    pub fn asked(fault: &str) -> Self {
        let full = std::env::var(VARIABLE).is_ok_and(|value| value == "full");
        if full {
            return Self::Full;
        }
        eprintln!("{fault}: ran short; `make chaos` runs it in full");
        Self::Smoke
    }

    /// A number that depends on the size.
    pub fn pick<T>(self, smoke: T, full: T) -> T {
        match self {
            Self::Smoke => smoke,
            Self::Full => full,
        }
    }

    /// A span of seconds that depends on the size.
    pub fn seconds(self, smoke: u64, full: u64) -> Duration {
        Duration::from_secs(self.pick(smoke, full))
    }
}
