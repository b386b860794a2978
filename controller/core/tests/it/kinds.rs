//! The stored form of events does not move.
