//! `DefinitionService`: workflows as text, checked and stored for ever.
//!
//! [`service`] has the methods; `check` tells what is wrong with a source; `apply` stores it.

mod apply;
mod check;
pub mod service;

pub use service::Definitions;
