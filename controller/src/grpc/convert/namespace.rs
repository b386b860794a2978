//! Namespaces that do not exist.

use fulcrum_proto::common::v1::ErrorReason;

use crate::identity::registry::NamespaceError;
use crate::server::Fault;

impl From<NamespaceError> for Fault {
    fn from(error: NamespaceError) -> Self {
        match error {
            NamespaceError::NotFound(name) => {
                Fault::not_found(ErrorReason::NamespaceNotFound, "namespace", name)
            }
            NamespaceError::Store(error) => error.into(),
        }
    }
}
