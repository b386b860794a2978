//! Inviting without being invited: the first operator's join token, made by whoever can reach the database.

use fulcrum_core::store::StoreError;
use fulcrum_core::time::{Millis, Timestamp};
use secrecy::SecretString;

use super::authority::RootPin;
use super::name::{IdentityName, Scope};
use super::pattern::CapabilityPattern;
use super::registry::Registry;
use super::role::Role;
use super::token::{JoinToken, JoinTokenRecord};

/// Whom to let in.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// Where the new identity may act.
    pub scope: Scope,
    /// What it will be.
    pub role: Role,
    /// What it will be called.
    pub name: IdentityName,
    /// What it may serve, if it is a worker.
    pub capabilities: Vec<CapabilityPattern>,
    /// How long the token lives.
    pub life: Millis,
}

/// Makes a join token and stores its hash.
///
/// # Errors
/// When the database fails or there is no randomness.
pub async fn invite(
    registry: &Registry,
    pin: RootPin,
    now: Timestamp,
    invitation: Invitation,
) -> Result<SecretString, StoreError> {
    let no_randomness = |error| StoreError::Refused(format!("no randomness: {error}"));
    let token = JoinToken::mint(pin, Registry::new_id(now)?).map_err(no_randomness)?;
    let record = JoinTokenRecord {
        id: token.id,
        secret_hash: token.secret_hash(),
        scope: invitation.scope,
        role: invitation.role,
        name: invitation.name,
        capabilities: invitation.capabilities,
        expires_at: now.plus(invitation.life),
        used_at: None,
        used_by: None,
        revoked_at: None,
    };
    registry
        .create_token(&record, "the controller's command line", None)
        .await?;
    Ok(token.reveal())
}
