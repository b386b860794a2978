//! Which addresses a request may go to (the guard against server-side request forgery).
//!
//! Checked after resolving and used for connecting, so a name cannot show one address to the check and another to the
//! connection. Ranges are those of the IANA special-purpose registries.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use serde::Deserialize;

/// A kind of address that an endpoint must allow by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// This machine: 127.0.0.0/8, ::1.
    Loopback,
    /// A private network: RFC 1918, carrier-grade NAT, unique local.
    Private,
    /// Link-local, and the metadata services of clouds. Hardly ever right.
    LinkLocal,
}

/// Where an address lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Public,
    Zone(Zone),
    /// Unspecified, multicast, broadcast, reserved: never a service.
    Never,
}

/// The zones an endpoint may reach besides the public internet.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedZones(Arc<BTreeSet<Zone>>);

/// A request that would have gone to an address its endpoint does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {kind} and this endpoint does not allow that; {advice}")]
pub struct AddressRefused {
    /// The address.
    pub address: IpAddr,
    kind: &'static str,
    advice: &'static str,
}

impl AllowedZones {
    /// The public internet and `zones`.
    pub(super) fn new(zones: impl IntoIterator<Item = Zone>) -> Self {
        Self(Arc::new(zones.into_iter().collect()))
    }

    /// Whether a request may go to `address`.
    ///
    /// # Errors
    /// [`AddressRefused`] says which zone would have to be allowed.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), AddressRefused> {
        let (kind, advice) = match reach(address) {
            Reach::Public => return Ok(()),
            Reach::Zone(zone) if self.0.contains(&zone) => return Ok(()),
            Reach::Zone(Zone::Loopback) => (
                "a loopback address",
                "if it is meant, add `loopback` to allow_addresses",
            ),
            Reach::Zone(Zone::Private) => (
                "a private address",
                "if it is meant, add `private` to allow_addresses",
            ),
            Reach::Zone(Zone::LinkLocal) => (
                "a link-local or metadata address",
                "if it is meant, add `link_local` to allow_addresses",
            ),
            Reach::Never => (
                "not the address of a service",
                "check the endpoint's base_url",
            ),
        };
        Err(AddressRefused {
            address,
            kind,
            advice,
        })
    }
}

fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => reach_v4(v4),
        IpAddr::V6(v6) => match carried_v4(v6) {
            Some(v4) => reach_v4(v4),
            None => reach_v6(v6),
        },
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, d] = address.octets();
    match (a, b, c, d) {
        // Cloud metadata that lives outside 169.254.0.0/16.
        (100, 100, 100, 200) | (192, 0, 0, 192) | (168, 63, 129, 16) => {
            Reach::Zone(Zone::LinkLocal)
        }
        (127, ..) => Reach::Zone(Zone::Loopback),
        (10, ..) | (172, 16..=31, ..) | (192, 168, ..) | (100, 64..=127, ..) => {
            Reach::Zone(Zone::Private)
        }
        (169, 254, ..) => Reach::Zone(Zone::LinkLocal),
        (0 | 224..=255, ..)
        | (192, 0, 0 | 2, _)
        | (198, 18..=19, ..)
        | (198, 51, 100, _)
        | (203, 0, 113, _) => Reach::Never,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Zone(Zone::Loopback),
        // AWS's metadata service over IPv6.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] => Reach::Zone(Zone::LinkLocal),
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] => Reach::Zone(Zone::Private),
        [0xfe80..=0xfebf, ..] => Reach::Zone(Zone::LinkLocal),
        // Teredo, ORCHID, documentation, discard; and all that is not global unicast.
        [0x2001, 0 | 0x0db8, ..] | [0x2001, 0x0010..=0x002f, ..] | [0x3fff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64, 6to4.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let from = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0xffff | 0, high, low] => from(high, low),
        [0x0064, 0xff9b, 0, 0, 0, 0, high, low] => from(high, low),
        [0x2002, high, low, ..] => from(high, low),
        _ => None,
    }
}

/// Resolves names with the system's resolver and drops the addresses that are not allowed.
#[derive(Clone)]
pub(super) struct GuardedResolver(AllowedZones);

impl GuardedResolver {
    /// A resolver that returns addresses `allowed` permits.
    pub(super) fn new(allowed: AllowedZones) -> Self {
        Self(allowed)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refused = None;
            let mut permitted: Vec<SocketAddr> = Vec::new();
            for address in found {
                match allowed.check(address.ip()) {
                    Ok(()) => permitted.push(address),
                    Err(refusal) => refused = Some(refusal),
                }
            }
            match (permitted.is_empty(), refused) {
                (true, Some(refusal)) => Err(refusal.into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardedResolver").field(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(allowed: &[Zone], address: &str) -> bool {
        let address = address.parse().expect("an address");
        AllowedZones::new(allowed.iter().copied())
            .check(address)
            .is_err()
    }

    #[test]
    fn inner_addresses_are_refused_however_they_are_written() {
        for address in [
            "127.0.0.1",
            "::1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "100.100.100.200",
            "fd00:ec2::254",
            "fe80::1",
            "fc00::1",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
            "2001::1",
            "ff02::1",
        ] {
            assert!(refused(&[], address), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for address in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700:4700::1111",
            "172.32.0.1",
            "64:ff9b::101:101",
        ] {
            assert!(!refused(&[], address), "{address}");
        }
    }

    #[test]
    fn allowing_one_zone_allows_no_other() {
        assert!(!refused(&[Zone::Loopback], "127.0.0.1"));
        assert!(refused(&[Zone::Loopback], "10.0.0.1"));
        assert!(refused(&[Zone::Loopback, Zone::Private], "169.254.169.254"));
        assert!(refused(
            &[Zone::Loopback, Zone::Private, Zone::LinkLocal],
            "0.0.0.0"
        ));
    }
}
