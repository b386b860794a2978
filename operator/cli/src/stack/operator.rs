//! The person's identity in a stack: kept across restarts while it is good, else enrolled again.

use fulcrum_proto::admin::v1::WhoAmIRequest;
use fulcrum_sdk::IdentityDir;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;

use super::controller::Controller;
use super::error::StackError;
use super::home::Home;
use super::ports::Ports;
use crate::client::connection::Connection;
use crate::client::enrolment;
use crate::context::target::{DEFAULT_NAMESPACE, Target};
use crate::error::CliError;
use crate::output::time;

/// A certificate with less life than this is replaced at the start.
const LIFE_MIN: SignedDuration = SignedDuration::from_hours(48);

/// Connects as the operator, enrolling if need be.
///
/// # Errors
/// When the controller does not let the operator in.
pub async fn connect(
    home: &Home,
    ports: Ports,
    controller: &Controller,
) -> Result<Connection, StackError> {
    let target = Target {
        context: String::new(),
        address: ports.api().to_string(),
        identity: home.identity("operator"),
        namespace: DEFAULT_NAMESPACE.to_owned(),
    };
    if IdentityDir::at(&target.identity).is_enrolled() {
        match known(target.clone()).await {
            Ok(Some(connection)) => return Ok(connection),
            Ok(None) => tracing::info!("the operator's certificate ends soon; enrolling again"),
            Err(error) => tracing::info!(%error, "the operator is not known; enrolling again"),
        }
    }
    let token = controller.invite_operator().await?;
    let dir = IdentityDir::at(&target.identity);
    let joined = async {
        enrolment::enrol(&ports.enrolment().to_string(), token.expose_secret(), &dir).await?;
        let connection = Connection::open(target).await?;
        enrolment::settle(&connection).await?;
        Ok(connection)
    };
    joined
        .await
        .map_err(|error| StackError::call("does not let the operator in", &error))
}

/// The connection of an identity that is still good for a while.
async fn known(target: Target) -> Result<Option<Connection>, CliError> {
    let connection = Connection::open(target).await?;
    let answer = connection
        .identities()
        .who_am_i(WhoAmIRequest {})
        .await?
        .into_inner();
    let until = time::from_proto(answer.certificate_expires_at.as_ref());
    let is_good = until.is_some_and(|until| until.duration_since(Timestamp::now()) > LIFE_MIN);
    Ok(is_good.then_some(connection))
}
