//! `script`: programs on the connector's machine.
//!
//! A program is a list of arguments, never a line for a shell. Each template makes exactly one argument, whatever the
//! value holds. The environment is empty but for what is declared; input goes in as JSON, output comes back as JSON,
//! bounded; and when the call ends, so does everything it started.

mod arguments;
mod config;
mod operation;
mod process;

pub use config::{ScriptConfig, StdoutFormat};
pub(crate) use operation::build;
