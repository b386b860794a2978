//! Which crate of Fulcrum may depend on which, held by tests.
//!
//! A dependency edge is an architectural decision: it is easier to add than to notice. The tests of this
//! crate read what cargo itself says about the workspace and compare it with the layers of
//! `docs/ARCHITECTURE.md`. A new edge between two crates is its own commit: change the table in
//! `tests/it/layers.rs`, and say why in an ADR. The same crate holds the manual to the source: every error
//! name is explained, every link leads somewhere.

pub mod graph;
pub mod workspace;
