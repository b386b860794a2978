//! The two questions an orchestrator asks over plain HTTP: is the process alive, and should it get calls.

pub mod probes;
pub mod readiness;

pub use readiness::Readiness;
