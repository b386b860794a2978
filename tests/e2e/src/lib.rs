//! Real processes on loopback for end-to-end tests: a private PostgreSQL cluster with durability on, controllers,
//! workers, the billing service. Each is a child process of the test, killed by pid, restarted at will.
//!
//! Nothing here sleeps and hopes: [`wait::until`] polls a condition and fails with what it last saw.

pub mod api;
pub mod controller;
pub mod onboarding;
pub mod pooler;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod program;
pub mod stack;
pub mod timeline;
pub mod wait;
