//! States: Postgres enums mirrored one to one. A test compares the labels on both sides.

use fulcrum_core::decide::command::TimerPurpose;
use fulcrum_core::store::RunStatus;
use fulcrum_core::task::TaskState;

/// Declares a column type with its labels, and its conversions to and from the core's enum.
macro_rules! mirror {
    ($column:ident, $core:ty, $sql:literal, { $($variant:ident = $label:literal),+ $(,)? }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
        #[sqlx(type_name = $sql)]
        pub(crate) enum $column { $(#[sqlx(rename = $label)] $variant),+ }

        impl $column {
            /// The Postgres type and its labels, in order.
            pub(crate) const LABELS: crate::column::states::Labels = ($sql, &[$($label),+]);
        }

        impl From<$core> for $column {
            fn from(value: $core) -> Self {
                match value { $(<$core>::$variant => Self::$variant),+ }
            }
        }

        impl From<$column> for $core {
            fn from(value: $column) -> Self {
                match value { $($column::$variant => <$core>::$variant),+ }
            }
        }
    };
}

pub(crate) use mirror;

/// A Postgres enum and its labels, in order.
pub type Labels = (&'static str, &'static [&'static str]);

mirror!(RunStatusColumn, RunStatus, "run_status", {
    Running = "running", Cancelling = "cancelling", Completed = "completed", Failed = "failed", Cancelled = "cancelled",
});
mirror!(TaskStateColumn, TaskState, "task_state", { Ready = "ready", Leased = "leased", Parked = "parked" });
mirror!(TimerPurposeColumn, TimerPurpose, "timer_purpose", { Wake = "wake", Total = "total", Expiry = "expiry" });

/// Where a review stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewState {
    /// It waits for a decision.
    Open,
    /// It expired and waits on.
    Escalated,
    /// It is decided, expired or withdrawn.
    Closed,
}

mirror!(ReviewStateColumn, ReviewState, "review_state", {
    Open = "open", Escalated = "escalated", Closed = "closed",
});

/// Every enum that this build knows, for the test that compares them with the database.
#[must_use]
pub fn state_labels() -> Vec<Labels> {
    vec![
        RunStatusColumn::LABELS,
        TaskStateColumn::LABELS,
        TimerPurposeColumn::LABELS,
        ReviewStateColumn::LABELS,
        crate::catalog::EffectClassColumn::LABELS,
        crate::identity::AuthorityKindColumn::LABELS,
        crate::identity::IdentityKindColumn::LABELS,
        crate::identity::IdentityStatusColumn::LABELS,
        crate::upkeep::alarm::AlarmKindColumn::LABELS,
    ]
}
