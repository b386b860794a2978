//! Becoming an identity of the installation, through the enrolment listener.

use std::time::Duration;

use fulcrum_proto::admin::v1::WhoAmIRequest;
use fulcrum_sdk::{EnrolError, Enrolment, IdentityAbout, IdentityDir, JoinToken};

use super::connection::{Connection, connect_error, endpoint, identity_error};
use crate::error::CliError;

/// How long controllers may take to hear of a new identity.
const SETTLE_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(100);

/// Exchanges a join token for an identity, and keeps it in `dir`.
///
/// # Errors
/// When the token is malformed or refused, nobody answers, or the directory cannot be written.
pub async fn enrol(
    address: &str,
    token: &str,
    dir: &IdentityDir,
) -> Result<IdentityAbout, CliError> {
    let token: JoinToken = token
        .parse()
        .map_err(|error: fulcrum_sdk::JoinTokenError| {
            CliError::usage(
                error.to_string(),
                "an operator makes one with `fulcrum worker add NAME --kind operator`",
            )
        })?;
    let enrolment = Enrolment {
        endpoint: endpoint(address),
        token,
        name: None,
        version: concat!("fulcrum/", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Box::pin(fulcrum_sdk::enrol(&enrolment, dir))
        .await
        .map_err(|error| match error {
            EnrolError::Connect(error) => connect_error(address, &error),
            EnrolError::Refused(_) => CliError::Denied {
                message: error.to_string(),
                fix: "a token works once, for one name, for a short time; ask for a new one"
                    .to_owned(),
            },
            EnrolError::Identity(error) => identity_error(error),
        })
}

/// Waits until the controller knows an identity that was enrolled a moment ago: its list of identities is up to a second
/// or so behind.
///
/// # Errors
/// When it still does not after a while.
pub async fn settle(connection: &Connection) -> Result<(), CliError> {
    let known = async {
        loop {
            match connection.identities().who_am_i(WhoAmIRequest {}).await {
                Ok(_) => return,
                Err(status) => tracing::debug!(%status, "not known yet"),
            }
            tokio::time::sleep(POLL).await;
        }
    };
    if tokio::time::timeout(SETTLE_PATIENCE, known).await.is_err() {
        connection.identities().who_am_i(WhoAmIRequest {}).await?;
    }
    Ok(())
}
