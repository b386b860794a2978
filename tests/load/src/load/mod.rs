//! The load: starts of runs, each waiting for its result. The generator is one thread with a few connections, because
//! it shares the two cores with what it measures.

pub(crate) mod closed;
pub(crate) mod crowd;
pub(crate) mod outcome;
pub(crate) mod paced;
pub(crate) mod starter;
