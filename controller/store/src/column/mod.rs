//! How values of the core are written in columns. Nothing outside the store sees these.

pub(crate) mod array;
pub(crate) mod decode;
pub(crate) mod states;
pub(crate) mod time;

pub(crate) use states::{ReviewStateColumn, RunStatusColumn, TaskStateColumn, TimerPurposeColumn};
pub(crate) use time::At;
