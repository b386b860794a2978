//! The first operator of an installation, invited by whoever can reach the database.

use fulcrum_core::time::Millis;
use secrecy::SecretString;

use crate::config::{ConfigError, KeysConfig, Sources, load};
use crate::foundation::{Foundation, FoundationError};
use crate::identity::invite::Invitation;
use crate::identity::name::{IdentityName, InvalidName, NamespaceName};
use crate::identity::{Role, Scope};

/// Life of such a token: it is used at once.
const TOKEN_LIFE: Millis = Millis::from_secs(900);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The settings are no settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The name of the namespace is not one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The database cannot be used.
    #[error(transparent)]
    Foundation(#[from] FoundationError),
}

/// A single-use join token for an operator of this namespace, which is made if there is none. The operator is called
/// `operator`; one of that name who is active already is revoked when the token is used.
///
/// # Errors
/// See [`BootstrapError`].
pub async fn operator_token(
    database_url: &str,
    keys: KeysConfig,
    namespace: &str,
) -> Result<SecretString, BootstrapError> {
    let flag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let environment = Vec::new();
    let flags = vec![
        flag("database.url", database_url),
        // Whether the server may lose commits is for the controller to refuse; a lost token is asked for again.
        flag("database.durability", "unsafe"),
        flag("database.control_connections_max", "1"),
        flag("database.commit_connections_max", "1"),
        flag("database.request_connections_max", "2"),
        flag("database.report_connections_max", "1"),
    ];
    let mut config = load(&Sources {
        file: None,
        environment,
        flags,
    })?;
    config.keys = keys;
    let namespace: NamespaceName = namespace.parse()?;
    let name: IdentityName = "operator".parse()?;
    let foundation = Box::pin(Foundation::lay(&config)).await?;
    foundation.ensure_namespace(&namespace).await?;
    let invitation = Invitation {
        scope: Scope::Namespace(namespace),
        role: Role::Operator,
        name,
        capabilities: Vec::new(),
        life: TOKEN_LIFE,
    };
    let token = foundation.invite(invitation).await?;
    foundation.store.close().await;
    Ok(token)
}
