//! Integration tests of the controller's outer shell: real sockets, real TLS.

mod answers;
mod blobs;
mod cancelling;
mod carrier;
mod counted;
mod database;
mod engine;
mod fan_out;
mod handles;
mod harness;
mod health;
mod installation;
mod lanes;
mod news;
mod payloads;
mod recovery;
mod repeated;
mod sealed;
mod shutdown;
mod stack;
mod standing;
mod tls;
mod trust;
mod whole;
