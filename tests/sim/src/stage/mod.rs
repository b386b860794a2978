//! What everything in a simulated world stands on: its dice, its clock, its weather, its trace and its counters.
//!
//! All of it follows from the seed. Nothing here knows controllers, workers or people.

pub mod clock;
pub mod dice;
pub mod listener;
pub mod sometimes;
pub mod storm;
pub mod trace;
