//! Invariants as named predicates.
