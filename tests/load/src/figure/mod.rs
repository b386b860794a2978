//! The figures, each in a file of its own. A group is what is measured together.

mod controllers;
mod decide;
mod drain;
mod fan_out;
mod flock;
mod floor;
mod group;
mod idle;
mod latency;
mod memory;
mod million;
mod profile;
mod readiness;
mod recovery;
mod storage;
mod throughput;

pub(crate) use group::Group;
