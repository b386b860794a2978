//! One named test for each fault of `docs/robustness.md`, by what is struck.

mod answers;
mod controllers;
mod crashes;
mod database;
mod failover;
mod load;
mod machine;
mod manual;
mod odd;
mod retention;
mod storage;
mod upgrade;
mod workers;
