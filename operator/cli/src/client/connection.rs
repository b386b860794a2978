//! One authenticated channel, and the services on it.

use fulcrum_proto::admin::v1::capability_service_client::CapabilityServiceClient;
use fulcrum_proto::admin::v1::identity_service_client::IdentityServiceClient;
use fulcrum_proto::admin::v1::installation_service_client::InstallationServiceClient;
use fulcrum_proto::admin::v1::namespace_service_client::NamespaceServiceClient;
use fulcrum_proto::admin::v1::worker_admin_service_client::WorkerAdminServiceClient;
use fulcrum_proto::audit::v1::audit_service_client::AuditServiceClient;
use fulcrum_proto::review::v1::review_service_client::ReviewServiceClient;
use fulcrum_proto::workflow::v1::definition_service_client::DefinitionServiceClient;
use fulcrum_proto::workflow::v1::run_service_client::RunServiceClient;
use fulcrum_proto::workflow::v1::timeline_service_client::TimelineServiceClient;
use fulcrum_sdk::client::ANSWER_BYTES_MAX;
use fulcrum_sdk::transfer::{Patience, Transfer};
use fulcrum_sdk::{ConnectError, IdentityDir, IdentityError, channel};

use super::patience::{CALLS_MAX, Patient};
use crate::context::target::Target;
use crate::error::CliError;

/// Calls that are refused for now are made again.
pub type Channel = Patient<channel::Channel>;

/// A connection to the controller, in a namespace. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    channel: Channel,
    /// Without patience, which keeps what it sends: values in pieces have their own.
    transfer: Transfer,
    target: Target,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the identity cannot be read or nobody answers.
    pub async fn open(target: Target) -> Result<Self, CliError> {
        let identity = IdentityDir::at(&target.identity)
            .load()
            .map_err(identity_error)?;
        let channel = Box::pin(channel::connect(&endpoint(&target.address), &identity)).await;
        let channel = channel.map_err(|error| connect_error(&target.address, &error))?;
        Ok(Self {
            transfer: Transfer::new(channel.clone(), Patience::Tries(CALLS_MAX)),
            channel: Patient::new(channel),
            target,
        })
    }

    /// What it is connected to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The namespace to act in, as requests want it.
    #[must_use]
    pub fn namespace(&self) -> String {
        self.target.namespace.clone()
    }

    /// Values that are too large for a message.
    #[must_use]
    pub fn transfer(&self) -> &Transfer {
        &self.transfer
    }

    /// Definitions.
    #[must_use]
    pub fn definitions(&self) -> DefinitionServiceClient<Channel> {
        DefinitionServiceClient::new(self.channel.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Runs.
    #[must_use]
    pub fn runs(&self) -> RunServiceClient<Channel> {
        RunServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Timelines.
    #[must_use]
    pub fn timelines(&self) -> TimelineServiceClient<Channel> {
        TimelineServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Reviews.
    #[must_use]
    pub fn reviews(&self) -> ReviewServiceClient<Channel> {
        ReviewServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The record.
    #[must_use]
    pub fn audits(&self) -> AuditServiceClient<Channel> {
        AuditServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Workers and join tokens.
    #[must_use]
    pub fn workers(&self) -> WorkerAdminServiceClient<Channel> {
        WorkerAdminServiceClient::new(self.channel.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Capabilities.
    #[must_use]
    pub fn capabilities(&self) -> CapabilityServiceClient<Channel> {
        CapabilityServiceClient::new(self.channel.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Namespaces.
    #[must_use]
    pub fn namespaces(&self) -> NamespaceServiceClient<Channel> {
        NamespaceServiceClient::new(self.channel.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// The installation as a whole.
    #[must_use]
    pub fn installation(&self) -> InstallationServiceClient<Channel> {
        InstallationServiceClient::new(self.channel.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    /// Who the caller is.
    #[must_use]
    pub fn identities(&self) -> IdentityServiceClient<Channel> {
        IdentityServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }
}

/// Addresses are typed and printed as `host:port`; TLS is not a choice.
#[must_use]
pub fn endpoint(address: &str) -> String {
    if address.contains("://") {
        address.to_owned()
    } else {
        format!("https://{address}")
    }
}

/// The other way round: `host:port` of an endpoint.
#[must_use]
pub fn address(endpoint: &str) -> String {
    endpoint
        .strip_prefix("https://")
        .unwrap_or(endpoint)
        .trim_end_matches('/')
        .to_owned()
}

/// An identity that cannot be used, as an error of this program.
#[must_use]
pub fn identity_error(error: IdentityError) -> CliError {
    match error {
        IdentityError::File { path, source } => CliError::file("use", path, source),
        IdentityError::Missing(path) => CliError::NotFound {
            message: format!("there is no identity in {}", path.display()),
            fix: "enrol with `fulcrum context add NAME --token …`; `fulcrum dev` does it by itself"
                .to_owned(),
        },
        IdentityError::Damaged { .. } | IdentityError::Certificate(_) | IdentityError::Key(_) => {
            CliError::usage(
                error.to_string(),
                "ask an operator for a token (`fulcrum worker add NAME --kind operator`) and enrol again",
            )
        }
    }
}

/// A connection that did not come about, as an error of this program.
#[must_use]
pub fn connect_error(address: &str, error: &ConnectError) -> CliError {
    match error {
        ConnectError::Endpoint { endpoint } => CliError::usage(
            format!("`{endpoint}` is not the address of a controller"),
            "an address is host:port, such as 127.0.0.1:7400",
        ),
        ConnectError::Identity(_) => CliError::usage(
            error.to_string(),
            "ask an operator for a token (`fulcrum worker add NAME --kind operator`) and enrol again",
        ),
        ConnectError::Unreachable { detail, .. } | ConnectError::Untrusted { detail, .. } => {
            CliError::Unreachable {
                address: address.to_owned(),
                cause: detail.clone(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_endpoint_are_two_forms_of_one_thing() {
        assert_eq!(endpoint("127.0.0.1:7400"), "https://127.0.0.1:7400");
        assert_eq!(endpoint("https://h:1"), "https://h:1");
        assert_eq!(address("https://h:1/"), "h:1");
    }
}
