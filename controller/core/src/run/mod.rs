//! A run: the fold of its events.
//!
//! [`Run::evolve`] is the only way a run changes. It cannot fail and evaluates nothing: everything that needed thought
//! was thought before the event was written. A run that is folded from its events again is the same run, byte for
//! byte; a snapshot is merely the fold stored for speed.
//!
//! A run is cheap to clone (steps are shared until they change), so that a decision can try events out on a copy.

mod describe;
mod evolve;
mod journal;
mod shelf;
mod state;
mod step;

pub use journal::{JournalEntry, JournalRecord};
pub use shelf::{Keyed, Shelf};
pub use state::{KeptSignal, Returning, Run};
pub use step::{JoinProgress, StepState, StepStatus};
