//! A join token, shown once.

use fulcrum_proto::admin::v1::CreateJoinTokenResponse;
use jiff::Timestamp;
use serde::Serialize;

use crate::output::printer::Page;
use crate::output::time;

/// A token and where to use it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    /// The name it is bound to.
    pub name: String,
    /// What the identity will be.
    pub kind: &'static str,
    /// The token.
    pub token: String,
    /// Where to enrol.
    pub enrolment_endpoint: String,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl TokenView {
    /// The answer of the controller.
    #[must_use]
    pub fn new(name: &str, kind: &'static str, created: &CreateJoinTokenResponse) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            token: created.token.clone(),
            enrolment_endpoint: created.enrolment_endpoint.clone(),
            expires_at: time::from_proto(created.expires_at.as_ref()),
        }
    }
}

impl Page for TokenView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.clone()),
            ("kind", self.kind.to_owned()),
            ("token", self.token.clone()),
            ("enrol at", self.enrolment_endpoint.clone()),
            (
                "expires",
                self.expires_at.map(time::instant).unwrap_or_default(),
            ),
        ]
    }

    fn id(&self) -> &str {
        &self.token
    }
}
