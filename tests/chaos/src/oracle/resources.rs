//! What the processes hold: I11.

use std::fs;

use super::{Evidence, Invariant, Violation};

/// Sockets and files that a busy controller may keep beyond what it held at first.
const DESCRIPTORS_GROWTH_MAX: usize = 96;

/// What a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// The process.
    pub pid: u32,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Footprint {
    /// Looks at a process.
    ///
    /// # Errors
    /// It is gone.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next());
        let kib: u64 = kib.map_or(Ok(0), str::parse)?;
        Ok(Self {
            pid,
            memory: kib << 10,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        })
    }
}

pub(super) fn check(evidence: &Evidence, violations: &mut Vec<Violation>) {
    let mut broken = |what| {
        violations.push(Violation {
            invariant: Invariant::I11,
            what,
        });
    };
    for (before, now) in &evidence.footprints {
        // A process that was started anew is measured against nothing but the next look.
        let Some(before) = before else {
            continue;
        };
        let growth = now.memory.saturating_sub(before.memory);
        if growth > evidence.terms.memory_growth_max {
            broken(format!(
                "controller {} grew by {} MiB",
                now.pid,
                growth >> 20
            ));
        }
        let growth = now.descriptors.saturating_sub(before.descriptors);
        if growth > DESCRIPTORS_GROWTH_MAX {
            broken(format!("controller {} kept {growth} descriptors", now.pid));
        }
    }
}
