//! The connection to a controller: mutual TLS, HTTP/2 kept alive while idle, trace context on every call.
//!
//! Where one controller may be named, several may, with commas between; any of them may serve any call. A call goes
//! to the one in use, and when that one cannot be reached or says that it is unavailable, the next call goes to the
//! next.
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
use rustls::CertificateError;
use tonic::{
    service::interceptor::InterceptedService,
    transport::{self, Endpoint},
};

use crate::{
    backoff::random_fraction, causes, endpoints::Endpoints, identity::Identity, route::Route, tls,
    trace::InjectTrace,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// HTTP/2 flow control: enough for a whole payload in one round trip.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;

/// A connection that reconnects by itself, to another controller if there are several, and can be cloned for each
/// use.
pub type Channel = InterceptedService<Route, InjectTrace>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address cannot be used.
    #[error(
        "{endpoint:?} is no address of a controller; it must read https://host:port, or several of these with commas between"
    )]
    Endpoint {
        /// The address.
        endpoint: String,
    },
    /// The identity cannot be used for TLS.
    #[error("the identity cannot be used: {0}; enrol again")]
    Identity(#[from] rustls::Error),
    /// The controller cannot be reached.
    #[error("cannot connect to {endpoint}: {detail}")]
    Unreachable {
        /// The address.
        endpoint: String,
        /// What went wrong, innermost cause last.
        detail: String,
    },
    /// Who answers there is not the controller that was looked for: its certificate is by another authority or for
    /// another name.
    #[error(
        "{endpoint} is not to be trusted: {detail}; check the address, and whose token or identity this is"
    )]
    Untrusted {
        /// The address.
        endpoint: String,
        /// What went wrong, innermost cause last.
        detail: String,
    },
}

/// Connects to the controller at `endpoint` (`https://host:port`) as `identity`; of several, to the first that
/// answers.
///
/// # Errors
/// [`ConnectError`]; within 10 s for each address where nobody answers.
pub async fn connect(endpoint: &str, identity: &Identity) -> Result<Channel, ConnectError> {
    let config = tls::Current::new(tls::mutual_config(identity)?);
    connect_with(&endpoint.parse()?, config).await
}

/// As [`connect`], but connects on first use. A call made while there is no connection fails with
/// `UNAVAILABLE`. Must be called within a tokio runtime, on which the connection will live.
///
/// # Errors
/// [`ConnectError::Endpoint`] and [`ConnectError::Identity`].
pub fn connect_lazy(endpoint: &str, identity: &Identity) -> Result<Channel, ConnectError> {
    let config = tls::Current::new(tls::mutual_config(identity)?);
    Ok(traced(route_lazy(&endpoint.parse()?, config)))
}

pub(crate) async fn connect_with(
    endpoints: &Endpoints,
    config: tls::Current,
) -> Result<Channel, ConnectError> {
    let mut lines = lazy_lines(endpoints, &config);
    let first = random_index(lines.len());
    let mut failed = None;
    for offset in 0..lines.len() {
        let at = (first + offset) % lines.len();
        let uri = &endpoints.as_slice()[at];
        let connector = tls::Connector(config.clone());
        match settings(uri).connect_with_connector(connector).await {
            Ok(line) => {
                lines[at] = line;
                return Ok(traced(Route::new(lines, at)));
            }
            // Someone not to be trusted is the verdict only when nobody else may still come up.
            Err(error) => match failed {
                Some(ConnectError::Unreachable { .. }) => {}
                _ => failed = Some(not_connected(uri, &error)),
            },
        }
    }
    Err(failed.expect("there is at least one address"))
}

/// A route whose connections are made when they are first used.
pub(crate) fn route_lazy(endpoints: &Endpoints, config: tls::Current) -> Route {
    let lines = lazy_lines(endpoints, &config);
    let first = random_index(lines.len());
    Route::new(lines, first)
}

/// The route as clients take it.
pub(crate) fn traced(route: Route) -> Channel {
    InterceptedService::new(route, InjectTrace)
}

fn lazy_lines(endpoints: &Endpoints, config: &tls::Current) -> Vec<transport::Channel> {
    let lazy = |uri| settings(uri).connect_with_connector_lazy(tls::Connector(config.clone()));
    endpoints.as_slice().iter().map(lazy).collect()
}

fn random_index(count: usize) -> usize {
    (random_fraction() * count as f64) as usize
}

fn not_connected(uri: &Uri, error: &transport::Error) -> ConnectError {
    let endpoint = uri.to_string();
    let detail = causes::line(error);
    if causes::chain(error).any(is_distrust) {
        ConnectError::Untrusted { endpoint, detail }
    } else {
        ConnectError::Unreachable { endpoint, detail }
    }
}

/// Whether a certificate was refused for what it says; one refused for its time may be well when this machine's
/// clock is.
fn is_distrust(error: &(dyn std::error::Error + 'static)) -> bool {
    match error.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(why)) => !matches!(
            why,
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        ),
        Some(_) | None => false,
    }
}

fn settings(endpoint: &Uri) -> Endpoint {
    Endpoint::from(endpoint.clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .user_agent(crate::SDK_VERSION)
        .expect("the version is a header value")
}
