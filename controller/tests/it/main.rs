//! Integration tests of the controller's outer shell: real sockets, real TLS.

mod engine;
mod database;
mod harness;
mod shutdown;
mod trust;
mod whole;
