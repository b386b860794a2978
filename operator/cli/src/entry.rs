//! From `main` to an exit code.

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // A refusal to parse, `--help` and `--version` end the process here, with exit code 2, 0 and 0.
    let cli = Cli::parse();
    let session = Session::new(&cli.global);
    // One crypto provider for the whole process. An error means that it is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Io {
            what: "cannot start the async runtime".to_owned(),
            source,
        })
        .and_then(|runtime| runtime.block_on(Box::pin(cli.command.run(&session))));
    let exit = match outcome {
        Ok(exit) => exit,
        // Whoever reads our output has seen enough, as in `fulcrum run list | head`.
        Err(CliError::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
            Exit::Ok
        }
        Err(error) => {
            session.notice().error(&error);
            error.exit()
        }
    };
    exit.into()
}
