//! What people and programs look at: runs, timelines, reviews, tasks under way. On their own pool, so that they never starve the rest.

mod reviews;
mod runs;
mod tasks;
mod timelines;

pub use reviews::{ReviewPosition, Reviews, StoredReview};
pub use runs::{Family, RunFilter, Runs, Stalled};
pub use tasks::{Granted, Offer, TaskStanding, Tasks};
pub use timelines::{LinkedEvent, Timelines};
