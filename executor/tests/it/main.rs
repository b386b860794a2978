//! The executor's capabilities against a real service on this machine, and its reference page.

mod chat;
mod manual;
#[path = "../../../connector-sdk/adapters/tests/it/reference.rs"]
mod reference;
