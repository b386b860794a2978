//! The controller of a stack: the library behind `fulcrum-controller`, on a private database.

use fulcrum_controller::app;
use fulcrum_controller::config::{self, Config, KeySourceConfig, Sources};
use fulcrum_controller::foundation::Foundation;
use fulcrum_controller::identity::invite::Invitation;
use fulcrum_controller::identity::{Role, Scope};
use secrecy::{ExposeSecret as _, SecretString};

use super::error::StackError;
use super::home::Home;
use super::ports::Ports;
use crate::context::target::DEFAULT_NAMESPACE;

/// Life of certificates here: a stack that runs on a laptop for days must not lose its operator overnight.
const CERTIFICATE_LIFE_S: &str = "604800";
/// Name of the person.
const OPERATOR: &str = "operator";

/// A controller of this process.
pub struct Controller {
    running: app::Controller,
    config: Box<Config>,
}

/// The configuration: the defaults, then `FULCRUM_A__B` of the environment, then what a stack must have.
fn configure(home: &Home, database_url: &str, ports: Ports) -> Result<Config, StackError> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let flags = [
        ("database.url", database_url.to_owned()),
        ("listen.grpc", ports.api().to_string()),
        ("listen.enrol", ports.enrolment().to_string()),
        ("listen.http", ports.http().to_string()),
        ("listen.grpc_endpoint", format!("https://{}", ports.api())),
        (
            "listen.enrol_endpoint",
            format!("https://{}", ports.enrolment()),
        ),
        ("identity.certificate_life_s", CERTIFICATE_LIFE_S.to_owned()),
    ];
    let flags = flags.map(|(key, value)| (key.to_owned(), value)).to_vec();
    let mut config = config::load(&Sources {
        file: None,
        environment,
        flags,
    })
    .map_err(|error| StackError::server("controller", "cannot be configured", error))?;
    config.keys.sources = vec![KeySourceConfig::File(home.key_file()?)];
    Ok(config)
}

impl Controller {
    /// Brings the database up to date, makes the default namespace, and starts. It serves when this returns.
    ///
    /// # Errors
    /// When it cannot be configured or does not start.
    pub async fn start(home: &Home, database_url: &str, ports: Ports) -> Result<Self, StackError> {
        let config = configure(home, database_url, ports)?;
        let failed = |error: &dyn std::error::Error| {
            StackError::server("controller", "did not start", error)
        };
        let foundation = Box::pin(Foundation::lay(&config))
            .await
            .map_err(|error| failed(&error))?;
        let namespace = DEFAULT_NAMESPACE
            .parse()
            .expect("the default namespace has a valid name");
        foundation
            .ensure_namespace(&namespace)
            .await
            .map_err(|error| failed(&error))?;
        let running = Box::pin(app::Controller::start_on(foundation, &config))
            .await
            .map_err(|error| failed(&error))?;
        Ok(Self {
            running,
            config: Box::new(config),
        })
    }

    /// A join token for the operator, made as `fulcrum-controller invite` makes it: by whoever reaches the database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn invite_operator(&self) -> Result<SecretString, StackError> {
        let failed = |error| StackError::server("controller", "invites no operator", error);
        let foundation = Box::pin(Foundation::lay(&self.config))
            .await
            .map_err(failed)?;
        let invitation = Invitation {
            scope: Scope::Every,
            role: Role::Operator,
            name: OPERATOR.parse().expect("the operator has a valid name"),
            capabilities: Vec::new(),
            life: self.config.identity.join_token_life(),
        };
        let token = foundation.invite(invitation).await.map_err(failed)?;
        foundation.store.close().await;
        Ok(token.expose_secret().into())
    }

    /// Drains and ends it.
    pub async fn stop(self) {
        let aborted = self.running.shut_down().await;
        if !aborted.is_empty() {
            tracing::warn!(?aborted, "not everything ended in time");
        }
    }
}
