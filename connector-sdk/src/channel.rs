//! The connection to a controller: mutual TLS, HTTP/2 kept alive while idle, trace context on every call.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use fulcrum_sdk::{IdentityDir, channel, client};
//!
//! let identity = IdentityDir::at("/var/lib/fulcrum/operator").load()?;
//! let channel = channel::connect("https://localhost:7443", &identity).await?;
//! let mut runs = client::runs(channel);
//! # Ok(()) }
//! ```

use std::time::Duration;

use http::Uri;
use tonic::{
    service::interceptor::InterceptedService,
    transport::{self, Endpoint},
};

use crate::{identity::Identity, tls, trace::InjectTrace};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 flow control: enough for a whole payload in one round trip.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// A connection that reconnects by itself and can be cloned for each use.
pub type Channel = InterceptedService<transport::Channel, InjectTrace>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be used.
    #[error("{endpoint:?} is no address of a controller; it must read https://host:port")]
    Endpoint {
        /// The address.
        endpoint: String,
    },
    /// The identity cannot be used for TLS.
    #[error("the identity cannot be used: {0}; enrol again")]
    Identity(#[from] rustls::Error),
    /// The controller cannot be reached or proved to be another.
    #[error("cannot connect to {endpoint}: {detail}")]
    Unreachable {
        /// The address.
        endpoint: String,
        /// What went wrong, innermost cause last.
        detail: String,
    },
}

/// Connects to the controller at `endpoint` (`https://host:port`) as `identity`.
///
/// # Errors
/// [`ConnectError`]; within 10 s if nobody answers.
pub async fn connect(endpoint: &str, identity: &Identity) -> Result<Channel, ConnectError> {
    connect_with(endpoint, tls::Current::new(tls::mutual_config(identity)?)).await
}

/// As [`connect`], but connects on first use. A call made while there is no connection fails with
/// `UNAVAILABLE`. Must be called within a tokio runtime, on which the connection will live.
///
/// # Errors
/// [`ConnectError::Endpoint`] and [`ConnectError::Identity`].
pub fn connect_lazy(endpoint: &str, identity: &Identity) -> Result<Channel, ConnectError> {
    connect_lazy_with(endpoint, tls::Current::new(tls::mutual_config(identity)?))
}

pub(crate) async fn connect_with(
    endpoint: &str,
    config: tls::Current,
) -> Result<Channel, ConnectError> {
    let connected = settings(endpoint)?
        .connect_with_connector(tls::Connector(config))
        .await;
    let channel = connected.map_err(|error| ConnectError::Unreachable {
        endpoint: endpoint.to_owned(),
        detail: causes(&error),
    })?;
    Ok(InterceptedService::new(channel, InjectTrace))
}

pub(crate) fn connect_lazy_with(
    endpoint: &str,
    config: tls::Current,
) -> Result<Channel, ConnectError> {
    let channel = settings(endpoint)?.connect_with_connector_lazy(tls::Connector(config));
    Ok(InterceptedService::new(channel, InjectTrace))
}

fn settings(endpoint: &str) -> Result<Endpoint, ConnectError> {
    let wrong = || ConnectError::Endpoint {
        endpoint: endpoint.to_owned(),
    };
    let uri: Uri = endpoint.parse().map_err(|_| wrong())?;
    if uri.scheme_str() != Some("https") || uri.host().is_none() {
        return Err(wrong());
    }
    Ok(Endpoint::from(uri)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .user_agent(crate::SDK_VERSION)
        .expect("the version is a header value"))
}

/// An error and its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_addresses_are_accepted() {
        assert!(settings("https://localhost:7443").is_ok());
        assert!(settings("https://[::1]:7443").is_ok());
        for wrong in ["localhost:7443", "http://localhost:7443", "", "https://"] {
            assert!(settings(wrong).is_err(), "{wrong}");
        }
    }
}
