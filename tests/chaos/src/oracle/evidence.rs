//! The three witnesses' statements, taken once everything is at rest.

use std::collections::BTreeMap;
use std::time::Duration;

use fulcrum_proto::workflow::v1::Event;

use super::client_log::Accepted;
use super::database::Row;
use super::resources::Footprint;
use crate::target::Call;

/// What the fault's row allows.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Life of a lease.
    pub lease_ttl: Duration,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// Longest recovery (I7), generous: the machine is shared.
    pub recovery_max: Duration,
    /// Whether every run must have completed; else any end will do.
    pub all_complete: bool,
    /// Most memory that one controller may have gained, in bytes.
    pub memory_growth_max: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lease_ttl: Duration::from_secs(3),
            heartbeat: Duration::from_secs(1),
            recovery_max: Duration::from_secs(60),
            all_complete: true,
            memory_growth_max: 96 << 20,
        }
    }
}

/// Everything the oracle looks at.
#[derive(Debug)]
pub struct Evidence {
    /// What is allowed.
    pub terms: Terms,
    /// What the client was promised.
    pub accepted: Vec<Accepted>,
    /// Every accepted run as the database has it, by id.
    pub rows: BTreeMap<String, Row>,
    /// Every accepted run's timeline, by id.
    pub timelines: BTreeMap<String, Vec<Event>>,
    /// Statements that must count nothing, with what they counted.
    pub counts: Vec<(super::Invariant, &'static str, u64)>,
    /// What the target saw.
    pub calls: Vec<Call>,
    /// What each controller held before the load, if it still is the same process, and now.
    pub footprints: Vec<(Option<Footprint>, Footprint)>,
    /// From the end of the fault to rest.
    pub recovery: Duration,
}
