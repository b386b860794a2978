//! Workers: the SDK's lease machine with a shell in virtual time, the work they do, and the target that it changes.

pub mod bench;
pub mod gate;
pub mod reporting;
pub mod target;
pub mod worker;
