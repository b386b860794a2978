//! The run machine, driven through whole workflows against a small world in memory.

mod build;
mod control;
mod documents;
mod failing;
mod fanning;
mod journaling;
mod kinds;
mod properties;
mod table;
mod waiting;
mod world;
