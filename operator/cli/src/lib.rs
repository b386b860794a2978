//! The Fulcrum command line: the operator's local control plane.
//!
//! One binary, one command per file. A command converts what was typed into one or a few calls of the contract, and
//! what is answered into a *view*: a plain type with stable field names, which [`output`] prints as a table, JSON or
//! YAML. Wire types stop there.
//!
//! - [`cli`]: the tree of commands and the options they share; [`entry`]: from `main` to an exit code.
//! - [`command`]: the commands.
//! - [`client`]: the connection, and the one place where a refusal becomes an error that says what to do.
//! - [`context`]: which controller, as whom, in which namespace; kept in a file of the operator's.
//! - [`telemetry`]: traces and logs of this program, where they are asked for.
//! - [`view`], [`output`]: what is shown, and how.
//! - [`timeline`]: a run's events as a chart, and the check of their hash chain; [`audit`]: all of them against the
//!   signed log of the installation.
//! - `stack`, `demo`: the servers in one process, for `fulcrum dev` and `fulcrum demo`; feature `dev`.
//!
//! Invariants: data goes to stdout, everything else to stderr; every failure ends in [`error::CliError`] and so in a
//! documented exit code; no text from outside reaches a terminal without [`output::safe_text`]; nothing prompts unless
//! both ends are a terminal; Ctrl-C never changes a run.

pub mod audit;
pub mod cli;
pub mod client;
pub mod command;
pub mod context;
#[cfg(feature = "dev")]
pub mod demo;
pub mod entry;
pub mod error;
pub mod exit;
pub mod output;
pub mod session;
#[cfg(feature = "dev")]
pub mod stack;
pub mod telemetry;
pub mod timeline;
pub mod view;
