//! The running worker: a shell around the [lease machine](crate::lease).
//!
//! [`desk`] is the one place that feeds the machine and passes on what it answers. Around it: [`polling`] asks
//! for tasks, [`running`] does them, [`reporting`] hands in outcomes from its [`outbox`], [`beating`] renews leases
//! on a thread and connection of its own, so that busy or blocking capabilities cannot starve it, [`carrying`] sends and
//! fetches values that are too large for a message, [`renewing`] keeps the certificate fresh, and [`witnessing`]
//! remembers the signed heads of the record. [`serve`] builds a worker and starts it all, [`shift`] is its life until the
//! drain is over.

mod beating;
mod carrying;
mod desk;
mod fitting;
mod outbox;
mod polling;
mod recording;
mod registering;
mod renewing;
mod reporting;
mod running;
mod serve;
mod shift;
mod witnessing;

pub use serve::{Worker, WorkerError};
