//! `fulcrum audit show`

use clap::Args;

use crate::audit::live;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::head::HeadView;

/// Show the signed head of the installation log, and the key that checks it
///
/// Keep a copy of the verifier key where nobody can change it: it is what makes an exported record worth something.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum audit show
  fulcrum audit show -o json | jq -r .verifier")]
pub struct Show {}

impl Show {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let seen = live::look(&connection).await?;
        session.printer().page(&HeadView::from(&seen))?;
        Ok(Exit::Ok)
    }
}
