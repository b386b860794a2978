//! What is shown: plain types with stable field names, made from wire types here and nowhere else.
//!
//! Field names, and the words of states and kinds, are the public form of `-o json` and `-o yaml`: they may grow, but
//! none changes its meaning. Absent values are left out.

pub mod capability;
pub mod definition;
pub mod event;
pub mod examination;
pub mod failure;
pub mod head;
pub mod identity;
pub mod namespace;
pub mod review;
pub mod run;
pub mod started;
pub mod step;
pub mod token;
pub mod word;
pub mod worker;
