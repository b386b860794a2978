//! The caller behind a request.

use tonic::Request;

use crate::server::{Caller, Fault};

/// The authorised caller, as the server's layer left it with the request.
///
/// # Errors
/// Only if a service is mounted without the layer, which is a mistake of ours.
pub fn caller<T>(request: &Request<T>) -> Result<Caller, Fault> {
    let missing = || Fault::internal(&"a handler was reached without an authorised caller");
    request.extensions().get::<Caller>().cloned().ok_or_else(missing)
}
