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
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, row(1)?)))
}

/// The first of so many neighbouring loopback ports: all were free a moment ago, and no other call in this process gets
/// any of them.
pub fn row(length: u16) -> anyhow::Result<u16> {
    let begin = std::process::id().wrapping_mul(97) % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(length, Ordering::Relaxed);
        let offset = u16::try_from((begin + u32::from(step)) % u32::from(COUNT))?;
        if offset + length > COUNT {
            continue;
        }
        let first = FIRST + offset;
        let mut row = first..first + length;
        if row.all(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return Ok(first);
        }
    }
    anyhow::bail!("no {length} neighbouring loopback ports from {FIRST} on are free")
}
