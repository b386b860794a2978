//! What must hold after every fault, computed from three witnesses: what the client was promised ([`ClientLog`]), what
//! the database says (rows, and timelines with their exact bytes), and what the target did.
//!
//! One predicate per invariant, in a file by what it looks at. I8 (money) and I9 (approval digests of gated actions) and
//! the audit half of I5 have no feature yet.

mod client_log;
mod database;
mod effects;
mod evidence;
mod resources;
mod timelines;

use std::fmt;
use std::time::Duration;

pub use client_log::{Accepted, ClientLog};
pub(crate) use database::{counts, rows};
pub use evidence::{Evidence, Terms};
pub use resources::Footprint;

/// An invariant of FAULTS: what must be true once a fault is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// No accepted task is lost.
    I1,
    /// One accepted result per step.
    I2,
    /// A stale lease never mutates.
    I3,
    /// Effect keys are stable, and an idempotent target applied each exactly once.
    I4,
    /// Timelines are free of gaps, their chains verify, causes come first.
    I5,
    /// Two workers overlap on one task no longer than a lease and a heartbeat.
    I6,
    /// Recovery takes no longer than its bound, and no human.
    I7,
    /// Nothing crosses a namespace.
    I10,
    /// Memory, descriptors, connections and tables come back to where they were.
    I11,
    /// Counters equal what the tables say.
    I12,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What an invariant was found to be broken by.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// Where and how.
    pub what: String,
}

/// What was checked, in numbers, for `docs/robustness.md`.
#[derive(Clone, Copy, Debug)]
pub struct Findings {
    /// Runs that were accepted and are closed.
    pub runs: usize,
    /// Events on their timelines, each hash recomputed.
    pub events: usize,
    /// Calls at the target.
    pub calls: usize,
    /// Calls that had an effect.
    pub applied: usize,
    /// Leases that ran out.
    pub expired: usize,
    /// The longest that two calls for one effect overlapped.
    pub overlap: Duration,
    /// From the end of the fault to rest.
    pub recovery: Duration,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} runs, {} events; {} calls, {} applied; {} leases expired, overlap {:.1} s; at rest after {:.1} s",
            self.runs,
            self.events,
            self.calls,
            self.applied,
            self.expired,
            self.overlap.as_secs_f64(),
            self.recovery.as_secs_f64()
        )
    }
}

/// Judges the evidence by every invariant.
///
/// # Errors
/// All violations, one per line.
pub fn judge(evidence: &Evidence) -> anyhow::Result<Findings> {
    let mut violations = Vec::new();
    timelines::check(evidence, &mut violations);
    effects::check(evidence, &mut violations);
    database::check(evidence, &mut violations);
    resources::check(evidence, &mut violations);
    if evidence.recovery > evidence.terms.recovery_max {
        violations.push(Violation {
            invariant: Invariant::I7,
            what: format!(
                "at rest {:?} after the fault, {:?} are allowed",
                evidence.recovery, evidence.terms.recovery_max
            ),
        });
    }
    let told: Vec<String> = violations
        .iter()
        .map(|found| format!("{}: {}", found.invariant, found.what))
        .collect();
    anyhow::ensure!(
        told.is_empty(),
        "{} violations\n{}",
        told.len(),
        told[..told.len().min(40)].join("\n")
    );
    Ok(Findings {
        runs: evidence.timelines.len(),
        events: evidence.timelines.values().map(Vec::len).sum(),
        calls: evidence.calls.len(),
        applied: evidence.calls.iter().filter(|call| call.applied).count(),
        expired: timelines::expired(evidence),
        overlap: effects::overlap_max(&evidence.calls),
        recovery: evidence.recovery,
    })
}
