//! The addresses a controller listens on.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::config::ListenConfig;

/// Where a controller listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC over mTLS.
    pub grpc: SocketAddr,
    /// Enrolment.
    pub enrol: SocketAddr,
    /// `/livez` and `/readyz`.
    pub http: SocketAddr,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (`listen.{key}`): {source}")]
pub struct BindError {
    /// The key in the configuration.
    pub key: &'static str,
    /// The address.
    pub address: SocketAddr,
    /// Why.
    pub source: std::io::Error,
}

/// The bound sockets of a controller.
pub struct Sockets {
    /// For gRPC over mTLS.
    pub grpc: TcpListener,
    /// For enrolment.
    pub enrol: TcpListener,
    /// For the probes.
    pub http: TcpListener,
    /// Where they are; a configured port 0 has become a real one.
    pub addresses: Addresses,
}

impl Sockets {
    /// Binds all of them.
    ///
    /// # Errors
    /// When an address is taken or not ours.
    pub async fn bind(listen: &ListenConfig) -> Result<Self, BindError> {
        let (grpc, grpc_at) = bind("grpc", listen.grpc).await?;
        let (enrol, enrol_at) = bind("enrol", listen.enrol).await?;
        let (http, http_at) = bind("http", listen.http).await?;
        Ok(Self {
            grpc,
            enrol,
            http,
            addresses: Addresses {
                grpc: grpc_at,
                enrol: enrol_at,
                http: http_at,
            },
        })
    }
}

async fn bind(
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |source| BindError {
        key,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
