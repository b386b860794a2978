//! The executor: templates and models for a Fulcrum controller.

use std::process::ExitCode;

use clap::Parser as _;
use fulcrum_executor::executor::{Cli, PROGRAM};

#[tokio::main]
async fn main() -> ExitCode {
    PROGRAM.exit(Cli::parse().run().await)
}
