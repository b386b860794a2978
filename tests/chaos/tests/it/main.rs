//! One named test for each fault of `docs/robustness.md`, by what is struck.

mod workers;
