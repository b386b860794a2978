//! `fulcrum upgrade`

use clap::{Args, Subcommand};
use fulcrum_proto::admin::v1::{ExamineInstallationRequest, RaiseFeatureLevelRequest};

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;

/// Finish an upgrade of the controllers
#[derive(Debug, Subcommand)]
pub enum Upgrade {
    Finalize(Finalize),
}

/// Let controllers write what older builds cannot read
///
/// Builds N and N+1 run side by side, and a controller can be rolled back, until this is done: then the feature level
/// rises to the highest that every live controller knows, and older builds are refused. It never falls again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  fulcrum doctor             # is every controller of the new build?
  fulcrum upgrade finalize")]
pub struct Finalize {}

impl Upgrade {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        match self {
            Upgrade::Finalize(finalize) => finalize.run(session).await,
        }
    }
}

impl Finalize {
    async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let mut installation = connection.installation();
        let answer = installation
            .examine_installation(ExamineInstallationRequest {})
            .await?
            .into_inner();
        let common = answer
            .controllers
            .iter()
            .filter(|controller| controller.live)
            .map(|controller| controller.feature_level_max)
            .min()
            .unwrap_or(answer.feature_level);
        // The controller checks again: one that started meanwhile counts.
        let raised = installation
            .raise_feature_level(RaiseFeatureLevelRequest {
                feature_level: common.max(answer.feature_level),
            })
            .await?
            .into_inner();
        session
            .printer()
            .line(&format!("feature level {}", raised.feature_level))?;
        if raised.feature_level == answer.feature_level {
            session
                .notice()
                .say("nothing to raise: no live controller knows less, and none knows more");
        }
        Ok(Exit::Ok)
    }
}
