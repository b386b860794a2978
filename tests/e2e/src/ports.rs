//! Free loopback ports.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A loopback address that was free a moment ago.
pub fn free() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
