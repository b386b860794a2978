//! The SDK against a real gRPC server over mutual TLS on loopback.
//!
//! [`controller`] is a small controller without storage: its [`service`] enrols, hands out the tasks a test gives it,
//! and remembers what it was told; [`values`] takes and gives values in pieces. It runs on a runtime of its own, as the real one runs in a process of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod authority;
mod capabilities;
mod carrying;
mod controller;
mod enrolling;
mod holding;
mod journaling;
mod listener;
mod messages;
mod reaching;
mod refusing;
mod reporting;
mod service;
mod values;
mod working;
