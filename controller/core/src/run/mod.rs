//! The run: a fold of its events.
