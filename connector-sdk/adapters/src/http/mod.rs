//! `http`: named requests to HTTP services.
//!
//! An *endpoint* is a service: where it is, how to authenticate, which addresses it may have. A capability is one
//! request to it, made of templates, and a table that says what each status means. Redirects are off, proxies are not
//! read from the environment, and a name that resolves to a private address is refused unless the endpoint allows it.

mod address;
mod config;
mod endpoint;
mod exchange;
mod operation;
mod request;
mod response;
mod status;

pub use address::{AddressRefused, Zone};
pub use config::{AuthConfig, BasicConfig, EndpointConfig, HeaderConfig, HttpConfig, MethodName};
pub use endpoint::Endpoint;
pub use exchange::{Answer, Terms};
pub(crate) use operation::build;
pub use response::retry_after;
pub use status::{Outcome, StatusTable};
