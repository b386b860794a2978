//! Listings for people and programs: runs, timelines, reviews. On their own pool, so that they never starve the rest.

mod reviews;
mod runs;

pub use reviews::{ReviewPosition, Reviews, StoredReview};
pub use runs::{Family, RunFilter, Runs};
