//! `fulcrum run watch`

use std::collections::HashMap;

use clap::Args;

use super::waiting::{self, Waited};
use crate::client::follow::{self, Steps};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Format;
use crate::output::printer::Row as _;
use crate::output::table::columns;
use crate::session::Session;
use crate::view::run::RunView;
use crate::view::step::StepView;

/// Follow a run to its end; Ctrl-C stops following, not the run
///
/// The exit code tells how the run ended. With -o json each change is one line.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum run watch run_01k…
  fulcrum run watch run_01k… -o json | jq -r .status")]
pub struct Watch {
    /// Id of the run
    run: String,
}

impl Watch {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let mut seen = Seen::default();
        let follow = follow::to_end(&connection, &self.run, Steps::Include, |run| match session
            .printer()
            .format
        {
            Format::Table => {
                seen.tell(session, run);
                Ok(())
            }
            Format::Json | Format::Yaml => session.printer().item(run, ""),
        });
        match waiting::interruptible(follow).await? {
            Waited::Interrupted => Ok(waiting::left_alone(session, &self.run)),
            Waited::Done(run) => {
                if session.printer().format == Format::Table {
                    let whole = follow::get(&connection, &self.run, Steps::Omit).await?;
                    session.printer().page(&whole)?;
                }
                Ok(waiting::ended(session, &run))
            }
        }
    }
}

/// What has been told already.
#[derive(Debug, Default)]
struct Seen {
    steps: HashMap<String, StepView>,
    standing: String,
}

impl Seen {
    /// Tells each step that is not as it was, on stderr; stdout is for the run as it ends.
    fn tell(&mut self, session: &Session, run: &RunView) {
        let notice = session.notice();
        let standing = waiting::standing(run);
        if standing != self.standing {
            notice.say(&crate::output::safe_text::line(&standing));
            self.standing = standing;
        }
        for step in &run.steps {
            if self.steps.get(&step.step_key) != Some(step) {
                notice.say(&format!(
                    "  {}",
                    columns(&[], vec![step.cells()], notice.palette)
                ));
                self.steps.insert(step.step_key.clone(), step.clone());
            }
        }
    }
}
