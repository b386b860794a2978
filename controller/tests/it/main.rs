//! Integration tests of the controller's outer shell: real sockets, real TLS.

mod database;
mod engine;
mod harness;
mod shutdown;
mod trust;
mod whole;
