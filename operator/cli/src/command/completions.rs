//! `fulcrum completions`

use std::io::Write as _;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::CliError;
use crate::exit::Exit;

/// Print a completion script for your shell
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum completions bash > ~/.local/share/bash-completion/completions/fulcrum
  fulcrum completions zsh > ~/.zfunc/_fulcrum
  fulcrum completions fish > ~/.config/fish/completions/fulcrum.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<Exit, CliError> {
        // Into memory first: the generator panics on a closed pipe.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "fulcrum", &mut script);
        std::io::stdout()
            .lock()
            .write_all(&script)
            .map_err(|source| CliError::Io {
                what: "cannot write to stdout".to_owned(),
                source,
            })?;
        Ok(Exit::Ok)
    }
}
