//! `fulcrum init`

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Args;

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// What a new workflow looks like: small, complete, and runs on `fulcrum dev` as it stands.
const STARTER: &str = include_str!("starter.yaml");

/// Write a starter workflow
///
/// It runs on `fulcrum dev` as it stands: it renders a text and asks you about it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum init
  fulcrum init workflows/greeting.yaml")]
pub struct Init {
    /// File to write
    #[arg(default_value = "hello.yaml")]
    file: PathBuf,

    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(crate) fn run(self, session: &Session) -> Result<Exit, CliError> {
        let mut options = OpenOptions::new();
        options.write(true);
        if self.force {
            options.create(true).truncate(true)
        } else {
            options.create_new(true)
        };
        let written = options
            .open(&self.file)
            .and_then(|mut file| file.write_all(STARTER.as_bytes()));
        let path = self.file.display().to_string();
        match written {
            Ok(()) => {
                session.printer().line(&path)?;
                session.notice().next(&format!("fulcrum apply {path}"));
                Ok(Exit::Ok)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                session
                    .notice()
                    .insist(&format!("{path} exists; --force replaces it"));
                Ok(Exit::Conflict)
            }
            Err(error) => Err(CliError::file("write", self.file, error)),
        }
    }
}
