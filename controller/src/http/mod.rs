//! The two questions an orchestrator asks over plain HTTP: is the process alive, and should it get calls.

pub mod health;
pub mod probes;
pub mod readiness;

pub use health::Health;
pub use readiness::Readiness;
