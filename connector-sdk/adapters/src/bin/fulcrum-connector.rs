//! The connector: a worker next to the systems it works on, configured by one file.

use std::process::ExitCode;

use clap::Parser as _;
use fulcrum_adapters::connector::{Cli, PROGRAM};

#[tokio::main]
async fn main() -> ExitCode {
    PROGRAM.exit(Cli::parse().run().await)
}
