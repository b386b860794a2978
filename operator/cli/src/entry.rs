//! From `main` to an exit code.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use tokio::runtime::Runtime;
use tracing::Instrument as _;

use crate::cli::Cli;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::telemetry;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // A refusal to parse, `--help` and `--version` end the process here, with exit code 2, 0 and 0.
    let matches = Cli::command().get_matches();
    let name = command_name(&matches);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let session = Session::new(&cli.global);
    // One crypto provider for the whole process. An error means that it is installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let exit = match run(cli, &session, &name) {
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

fn run(cli: Cli, session: &Session, name: &str) -> Result<Exit, CliError> {
    let runtime = Runtime::new().map_err(|source| CliError::Io {
        what: "cannot start the async runtime".to_owned(),
        source,
    })?;
    // Servers log to their own file, which they open once they know where.
    let telemetry = if cli.command.runs_servers() {
        None
    } else {
        let _inside = runtime.enter();
        telemetry::of_command()?
    };
    let span = tracing::info_span!("fulcrum", otel.name = name, otel.kind = "client");
    let outcome = runtime.block_on(Box::pin(cli.command.run(session).instrument(span)));
    // Sends the last spans; it may block, so the runtime is still there and this thread is not part of it.
    drop(telemetry);
    outcome
}

/// `fulcrum run start`, whatever its arguments.
fn command_name(matches: &ArgMatches) -> String {
    let mut name = "fulcrum".to_owned();
    let mut level = matches.subcommand();
    while let Some((command, matches)) = level {
        name.push(' ');
        name.push_str(command);
        level = matches.subcommand();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_without_its_arguments() {
        let args = [
            "fulcrum",
            "run",
            "start",
            "secret-workflow",
            "--key",
            "ada@example.com",
        ];
        let matches = Cli::command().try_get_matches_from(args).expect("parses");
        assert_eq!(command_name(&matches), "fulcrum run start");
    }
}
