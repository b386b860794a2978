//! `fulcrum whoami`

use clap::Args;
use fulcrum_proto::admin::v1::WhoAmIRequest;

use crate::error::CliError;
use crate::exit::Exit;
use crate::session::Session;
use crate::view::identity::IdentityView;

/// Show who you are to which controller
#[derive(Debug, Args)]
pub struct Whoami {}

impl Whoami {
    pub(crate) async fn run(self, session: &Session) -> Result<Exit, CliError> {
        let connection = session.connect().await?;
        let answer = connection
            .identities()
            .who_am_i(WhoAmIRequest {})
            .await?
            .into_inner();
        let target = connection.target();
        session.printer().page(&IdentityView::new(
            &answer,
            &target.context,
            &target.address,
        ))?;
        Ok(Exit::Ok)
    }
}
