//! Looking at processes and the database from outside, so that what is measured does not measure itself.

pub(crate) mod clock;
pub(crate) mod counters;
pub(crate) mod cpu;
pub(crate) mod memory;
pub(crate) mod statements;
