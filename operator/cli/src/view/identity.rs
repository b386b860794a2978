//! Who the caller is.

use fulcrum_proto::admin::v1::WhoAmIResponse;
use jiff::Timestamp;
use serde::Serialize;

use super::word::Word as _;
use crate::output::printer::Page;
use crate::output::time;

/// The identity behind the certificate, as the controller sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IdentityView {
    /// Its name.
    pub name: String,
    /// Its id.
    pub identity_id: String,
    /// What it is.
    pub kind: &'static str,
    /// Where it belongs.
    pub namespace: String,
    /// The context that was used; empty if none was.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Where the controller is.
    pub address: String,
    /// When the certificate expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires_at: Option<Timestamp>,
    /// The installation.
    pub installation_id: String,
    /// The controller's version.
    pub controller_version: String,
    /// This program's version.
    pub cli_version: &'static str,
}

impl IdentityView {
    /// The controller's answer, and which connection it came over.
    #[must_use]
    pub fn new(answer: &WhoAmIResponse, context: &str, address: &str) -> Self {
        Self {
            name: answer.name.clone(),
            identity_id: answer.identity_id.clone(),
            kind: answer.kind().word(),
            namespace: answer.namespace.clone(),
            context: context.to_owned(),
            address: address.to_owned(),
            certificate_expires_at: time::from_proto(answer.certificate_expires_at.as_ref()),
            installation_id: answer.installation_id.clone(),
            controller_version: answer.controller_version.clone(),
            cli_version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl Page for IdentityView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("you are", format!("{} ({})", self.name, self.kind)),
            ("id", self.identity_id.clone()),
            ("namespace", self.namespace.clone()),
            (
                "context",
                if self.context.is_empty() {
                    "none".to_owned()
                } else {
                    self.context.clone()
                },
            ),
            (
                "controller",
                format!("{} (version {})", self.address, self.controller_version),
            ),
            ("installation", self.installation_id.clone()),
            (
                "certificate until",
                self.certificate_expires_at
                    .map(time::instant)
                    .unwrap_or_default(),
            ),
            ("this program", self.cli_version.to_owned()),
        ]
    }

    fn id(&self) -> &str {
        &self.name
    }
}
