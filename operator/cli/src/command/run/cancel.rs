//! `fulcrum run cancel`

use clap::Args;
use fulcrum_proto::workflow::v1::CancelRunRequest;

use super::waiting;
use crate::client::request_id;
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::run::RunView;

/// Ask a run and its children to stop; clean-up still happens
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum run cancel run_01k… --reason 'wrong customer'
  fulcrum run cancel run_01k… --wait")]
pub struct Cancel {
    /// Id of the run
    run: String,

    /// Why, for the timeline
    #[arg(short, long, default_value = "cancelled by the operator")]
    reason: String,

    /// Wait until it has stopped
    #[arg(short, long)]
    wait: bool,
}

impl Cancel {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let request = CancelRunRequest {
            namespace: connection.namespace(),
            run_id: self.run.clone(),
            reason: self.reason,
            request_id: request_id::fresh()?,
        };
        let answer = connection.runs().cancel_run(request).await?.into_inner();
        if self.wait {
            // It was asked to end so, and that it did is no failure of this command.
            return Ok(
                match waiting::to_end(session, &connection, &self.run).await? {
                    Exit::Failed => Exit::Ok,
                    exit => exit,
                },
            );
        }
        if let Some(run) = &answer.run {
            session.printer().page(&RunView::from(run))?;
        }
        Ok(Exit::Ok)
    }
}
