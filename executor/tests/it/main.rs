//! The executor's capabilities against a real service on this machine.

mod chat;
