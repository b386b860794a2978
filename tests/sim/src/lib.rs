//! The simulation: a whole installation in one thread, in virtual time, under faults that follow from a seed.
//!
//! What is real: the engine (lanes, dispatcher, reaper, timers, mail) on the reference store, and the SDK's lease
//! machine. What is played: the network, the clock of the database, the death of processes, people, and a target that
//! keeps a ledger of effects. A *drill* is one walk of one seed; a *campaign* walks many seeds, each twice, and wants
//! every fault of [`stage::sometimes`] to have struck.
//!
//! - [`stage`]: dice, clock, weather, trace, counters;
//! - [`cluster`]: controllers, their database as they see it, and the network;
//! - [`edge`]: workers around the lease machine, and the target of their effects;
//! - [`people`] start, ask, decide and cancel; [`workflows`] is what they start;
//! - [`chaos`]: deaths, pauses, cuts and jumps;
//! - [`oracle`]: what is checked at every commit, and when all is quiet;
//! - [`drill`], [`campaign`], [`replay`]: one seed, many seeds, and what is left of a seed that failed.

pub mod campaign;
pub mod chaos;
pub mod cluster;
pub mod drill;
pub mod edge;
pub mod oracle;
pub mod people;
pub mod replay;
pub mod stage;
pub mod workflows;

mod scene;

pub use scene::Stage;
