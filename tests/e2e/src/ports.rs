//! Free loopback ports that stay free.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the system takes the source ports of connections: a client that knocks at a server that is
/// down can neither take the server's port nor, on loopback, end up connected to itself.
const FIRST: u16 = 15_000;
const COUNT: u16 = 16_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A loopback address that was free a moment ago, and that no other call in this process gets. Test processes begin at
/// different places of the range.
pub fn free() -> anyhow::Result<SocketAddr> {
    let begin = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (begin + u32::from(step)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no loopback port from {FIRST} on is free")
}

/// The first of so many neighbouring loopback ports, all free a moment ago.
pub fn row(length: u16) -> anyhow::Result<u16> {
    for _ in 0..COUNT {
        let first = free()?.port();
        let mut rest = first + 1..first + length;
        if rest.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return Ok(first);
        }
    }
    anyhow::bail!("no {length} neighbouring loopback ports are free")
}
