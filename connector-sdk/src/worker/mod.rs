//! The running worker: a shell around the [lease machine](crate::lease).
//!
//! [`desk`] is the one place that feeds the machine and passes on what it answers. Around it: [`polling`] asks
//! for tasks, [`running`] does them, [`reporting`] hands in outcomes, [`beating`] renews leases on a thread and
//! connection of its own, so that busy or blocking capabilities cannot starve it, and [`renewing`] keeps the
//! certificate fresh. [`serve`] starts and ends them all.

mod beating;
mod desk;
mod polling;
mod recording;
mod renewing;
mod reporting;
mod running;
mod serve;

pub use serve::{Worker, WorkerError};
