//! Integration tests of the controller's outer shell: real sockets, real TLS.

mod harness;
mod shutdown;
mod trust;
