//! The tick: what is due, what is ready, what has changed and who else is there, in one look.
//!
//! It answers *whether* and *when*, never *what*: who is told that something is due goes and looks for it. So a tick
//! that is lost, late or wrong costs a moment and nothing else.

use uuid::Uuid;

use crate::ids::NamespaceId;
use crate::time::{Millis, Timestamp};

/// Lines that one tick asks about.
pub const TICK_LINES_MAX: usize = 1_024;

/// The ready tasks of one capability in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineKey {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The capability's name.
    pub capability: String,
}

/// What a controller wants to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sought {
    /// Instants up to so far from now are told; a later tick tells of those behind.
    pub ahead: Millis,
    /// Mail that has lain for so long should have been consumed.
    pub mail_age: Millis,
    /// Lines in which workers wait, at most [`TICK_LINES_MAX`].
    pub lines: Vec<LineKey>,
    /// The controller that asks, if it signed in: on the way it says that it is still there.
    pub attending: Option<Uuid>,
}

/// Counters that rise with each change of what controllers keep in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Revisions {
    /// Of who is in good standing.
    pub identities: i64,
    /// Of the contracts in force.
    pub catalogue: i64,
}

/// Whether the controller that asks counts as there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Attendance {
    /// It did not sign in, or the store keeps no list.
    #[default]
    Unasked,
    /// It is on the list, and fresh there.
    Fresh,
    /// It was silent for so long that it has to sign in anew.
    Overdue,
}

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Now, by the database's clock.
    pub now: Timestamp,
    /// The first instant at which a task is due, maybe in the past; never later than the truth.
    pub task_due: Option<Timestamp>,
    /// The first instant at which a timer fires, maybe in the past.
    pub timer_due: Option<Timestamp>,
    /// Is there mail that should have been consumed?
    pub mail_lies: bool,
    /// Those of the lines asked about in which tasks are ready, in the order in which they were asked about.
    pub ready: Vec<LineKey>,
    /// What has changed.
    pub revisions: Revisions,
    /// Live controllers besides the one that asks.
    pub others: u32,
    /// The one that asks.
    pub attendance: Attendance,
}
