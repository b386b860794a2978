//! What is told: figures as they come, a table at the end, and a file for machines.

pub(crate) mod bars;
pub(crate) mod figures;
pub(crate) mod file;
pub(crate) mod machine;
pub(crate) mod profile;
pub(crate) mod table;
