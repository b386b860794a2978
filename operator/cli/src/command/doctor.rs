//! `fulcrum doctor`

use clap::Args;
use fulcrum_proto::admin::v1::{ExamineInstallationRequest, Verdict};
use jiff::Timestamp;

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Format;
use crate::output::printer::Detail;
use crate::session::Session;
use crate::view::examination::{ExaminationView, FindingView};

/// Look at everything that goes wrong slowly, and say what to do about it
///
/// A line for each thing: the age of the queue, what holds vacuum back, dead rows, clocks, partitions, settings that
/// endanger durability, versions, workers, connections, loops, alarms. `ok` needs nothing, `warn` will be a problem,
/// `bad` is one: then the exit code is 1. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum doctor
  fulcrum doctor -o json | jq '.findings[] | select(.verdict != \"ok\")'
  fulcrum doctor -q        # only the names of checks that are not ok")]
pub struct Doctor {}

impl Doctor {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let asked_at = Timestamp::now();
        let answer = connection
            .installation()
            .examine_installation(ExamineInstallationRequest {})
            .await?
            .into_inner();
        let view = ExaminationView::new(&answer, asked_at, Timestamp::now());
        let printer = session.printer();
        match (printer.detail, printer.format) {
            (Detail::IdsOnly, _) => {
                let not_ok: Vec<FindingView> = view
                    .findings
                    .iter()
                    .filter(|finding| finding.verdict != "ok")
                    .cloned()
                    .collect();
                printer.list(&not_ok)?;
            }
            (Detail::Full, Format::Table) => printer.list(&view.findings)?,
            (Detail::Full, Format::Json | Format::Yaml) => printer.document(&view)?,
        }
        match view.count(Verdict::Bad) {
            0 => Ok(Exit::Ok),
            bad => Err(CliError::CheckFailed {
                message: format!("{bad} of {} checks are bad", view.findings.len()),
                fix: "the last column says what to do about each".to_owned(),
            }),
        }
    }
}
