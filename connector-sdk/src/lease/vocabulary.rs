//! What the machine is told and what it answers.

use std::time::Duration;

use bytes::Bytes;

/// Proof of a grant, opaque to the worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseToken(pub Bytes);

/// A task, the same across its grants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub String);

/// One call for tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PollId(pub(super) u64);

/// A task granted to this worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The lease.
    pub lease: LeaseToken,
    /// The task.
    pub task: TaskId,
    /// Which grant of the task this is; a higher one supersedes.
    pub seq: u64,
}

/// Where the controller says a lease stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Renewed.
    Held,
    /// Not held any more.
    Lost,
    /// The step was cancelled: the work may wind up.
    CancelRequested,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed.
    Tick,
    /// A call for tasks was answered, or given up (with no grants).
    PollAnswered {
        /// The call.
        poll: PollId,
        /// What it brought.
        grants: Vec<Grant>,
    },
    /// The work under a lease ended, and its report is ready.
    Finished(LeaseToken),
    /// Reports were accepted or refused for good.
    ReportsAnswered {
        /// The leases of the reports.
        settled: Vec<LeaseToken>,
        /// Tasks that came with the answer.
        grants: Vec<Grant>,
    },
    /// A renewal was answered.
    BeatAnswered(Vec<(LeaseToken, Standing)>),
    /// A renewal was not answered, or refused with the wish to be left alone for so long.
    BeatFailed {
        /// The wish; zero if there was none.
        retry_after: Duration,
    },
    /// No new work is to be taken.
    Drain,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call for tasks.
    Poll {
        /// Id of the call.
        poll: PollId,
        /// How many tasks it may bring.
        slots: u32,
    },
    /// Begin the work of this grant.
    Start(LeaseToken),
    /// Stop the work at once; its outcome is not wanted.
    Stop(LeaseToken),
    /// Ask the work to wind up; its outcome is wanted.
    Cancel(LeaseToken),
    /// Hand in the outcome.
    Report(LeaseToken),
    /// Renew these leases, in one or more calls, and answer with all of them.
    Beat(Vec<LeaseToken>),
    /// The drain is over: nothing is held and nothing is asked for.
    Drained,
}

/// What the machine goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Tasks held at once.
    pub slots: u32,
    /// Tasks asked for at once.
    pub poll_slots_max: u32,
    /// Time between renewals.
    pub beat_interval: Duration,
    /// When the first renewal is due; random, so that workers do not beat together.
    pub first_beat: Duration,
}
