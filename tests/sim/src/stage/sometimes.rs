//! What a campaign must have met at least once: a simulation whose faults never fire proves nothing.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! sometimes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that has to happen sometimes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Sometimes { $($(#[$doc])* $name,)* }

        impl Sometimes {
            /// All of them.
            pub const ALL: &'static [Sometimes] = &[$(Sometimes::$name,)*];
        }
    };
}

sometimes! {
    /// A call never arrived.
    RequestLost,
    /// A call was served and its answer never came.
    ReplyLost,
    /// A worker's report was served and it did not hear of it.
    ReportUnheard,
    /// A call was served twice.
    DuplicateDelivered,
    /// A call overtook an earlier one of the same caller.
    CallsReordered,
    /// A flush failed and left nothing.
    CommitFailed,
    /// A flush was asked to be repeated.
    CommitRepeated,
    /// A batch was refused as a whole and went in one by one.
    BatchSplit,
    /// A flush went through and its controller did not hear of it.
    CommitOutcomeUnknown,
    /// A flush did not go through and its controller could not know.
    CommitOutcomeUnknownAndLost,
    /// A controller died before what it had decided was committed.
    ControllerCrashedBeforeCommit,
    /// A controller died after its commit and before it acted on it.
    ControllerCrashedBetweenCommitAndAct,
    /// A commit went through whose controller was dead by then.
    CommitOutlivedItsController,
    /// A controller left in order.
    ControllerDrained,
    /// A controller could not reach the database for a while.
    ControllerCutOff,
    /// A commit was decided on a version that was not the run's any more.
    ConflictReDecided,
    /// A commit met a lease that was lost.
    LeaseLostAtCommit,
    /// A start was answered from the record of an earlier one.
    RepeatedStartAnswered,
    /// Mail was found lying about.
    MailFoundLying,
    /// A lease ran out and its task was offered again.
    LeaseExpired,
    /// A report came after its lease was lost, and was refused.
    LateReportRefused,
    /// A worker heard that its lease is lost, and stopped.
    LeaseLostHeard,
    /// Two workers worked on one task for a while.
    TwoHolders,
    /// A task was leased by the commit that made it.
    TaskHandedOff,
    /// A worker died before it could hear what it was granted.
    GranteeDied,
    /// A grant that nobody fetched was given back.
    GrantGivenBack,
    /// A caller went away and its call was dropped where it was.
    CallDropped,
    /// Grants of a call that was repeated came again.
    GrantsRepeated,
    /// A worker died.
    WorkerCrashed,
    /// A worker stood still for longer than its lease.
    WorkerStoodStill,
    /// A worker could not reach anybody for a while.
    WorkerCutOff,
    /// The database's clock jumped ahead.
    ClockJumpedForward,
    /// The database's clock jumped back.
    ClockJumpedBackward,
    /// An attempt failed and was made again.
    AttemptRepeated,
    /// A call whose outcome nobody knows was not made again.
    UnknownNotRepeated,
    /// The target was asked twice for the same effect.
    EffectAskedTwice,
    /// A task gave up its slot.
    TaskParked,
    /// A task that had parked was offered again.
    TaskResumed,
    /// A journal was appended to.
    JournalRecorded,
    /// A wait was over before its signal came.
    WaitTimedOut,
    /// A wait took its signal.
    SignalTaken,
    /// A signal sent twice under one request id came in once.
    SignalSentTwice,
    /// A review expired.
    ReviewExpired,
    /// A review was decided by a person.
    ReviewDecided,
    /// A review was decided by two people.
    ReviewDecidedTwice,
    /// A run was cancelled.
    RunCancelled,
    /// A child run was started.
    ChildStarted,
    /// A failure was caught.
    FailureCaught,
    /// A snapshot was stored.
    SnapshotStored,
    /// Several commands of one run went into one commit.
    CommandsShareCommit,
}

/// How often each happened.
#[derive(Debug)]
pub struct Tally(Vec<AtomicU64>);

impl Default for Tally {
    fn default() -> Self {
        Self(Sometimes::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Tally {
    /// It happened.
    pub fn saw(&self, what: Sometimes) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, what: Sometimes) -> u64 {
        self.0[what as usize].load(Ordering::Relaxed)
    }

    /// Adds what another world met.
    pub fn add(&self, other: &Tally) {
        for (mine, theirs) in self.0.iter().zip(&other.0) {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// What never happened.
    #[must_use]
    pub fn never(&self) -> Vec<Sometimes> {
        let all = Sometimes::ALL.iter().copied();
        all.filter(|what| self.count(*what) == 0).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in Sometimes::ALL {
            writeln!(f, "{:>9}  {what:?}", self.count(*what))?;
        }
        Ok(())
    }
}
