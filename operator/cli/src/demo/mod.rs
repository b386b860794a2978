//! The examples as demonstrations: everything started, used through the front door, and checked from outside.
//!
//! - [`example`]: the files of an example; [`billing`]: its billing service, a program of its own.
//! - [`onboarding`]: 200 customers become 200 runs; [`reviewer`]: the operator who decides what is asked.
//! - [`tally`]: what is counted afterwards, and how it is told; [`edge`]: what the connector did on disk; [`audit`]: every
//!   timeline, read and checked.

pub mod audit;
pub mod billing;
pub mod edge;
pub mod example;
pub mod onboarding;
pub mod reviewer;
pub mod tally;
