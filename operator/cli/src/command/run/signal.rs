//! `fulcrum run signal`

use clap::Args;
use fulcrum_proto::workflow::v1::SignalRunRequest;

use crate::client::{payload, request_id, transfer};
use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Send a signal to a run; it is kept until the run waits for it
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum run signal run_01k… paid
  fulcrum run signal run_01k… paid --payload '{\"amount\": 4900}'")]
pub struct Signal {
    /// Id of the run
    run: String,

    /// Name of the signal
    signal: String,

    /// What it carries, as JSON, @FILE, or - for stdin
    #[arg(short, long, value_name = "JSON")]
    payload: Option<String>,
}

impl Signal {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let payload = self
            .payload
            .as_deref()
            .map(|text| payload::read("--payload", text))
            .transpose()?;
        let connection = session.connect().await?;
        let request = SignalRunRequest {
            namespace: connection.namespace(),
            run_id: self.run.clone(),
            signal: self.signal.clone(),
            payload: transfer::lighten(&connection, payload).await?,
            request_id: request_id::fresh()?,
        };
        connection.runs().signal_run(request).await?;
        session
            .notice()
            .say(&format!("{} has the signal `{}`", self.run, self.signal));
        Ok(Exit::Ok)
    }
}
