//! Counting connections per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts of open connections.
pub struct Slots {
    total_max: u32,
    per_ip_max: u32,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    total: u32,
    by_ip: HashMap<IpAddr, u32>,
}

/// A place for one connection; given back when dropped.
pub struct Slot {
    slots: Arc<Slots>,
    ip: IpAddr,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSlot {
    /// The listener is full.
    #[error("the listener has reached `server.connections_max`")]
    Total,
    /// The address has too many.
    #[error("the address has reached `server.connections_per_ip_max`")]
    PerIp,
}

impl Slots {
    /// Empty counts under these limits.
    #[must_use]
    pub fn new(total_max: u32, per_ip_max: u32) -> Arc<Self> {
        Arc::new(Self {
            total_max,
            per_ip_max,
            open: Mutex::default(),
        })
    }

    /// Takes a place for a connection from this address.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn take(self: &Arc<Self>, ip: IpAddr) -> Result<Slot, NoSlot> {
        let ip = network(ip);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.total_max {
            return Err(NoSlot::Total);
        }
        let of_ip = open.by_ip.entry(ip).or_default();
        if *of_ip >= self.per_ip_max {
            return Err(NoSlot::PerIp);
        }
        *of_ip += 1;
        open.total += 1;
        Ok(Slot {
            slots: Arc::clone(self),
            ip,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self
            .slots
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(of_ip) = open.by_ip.get_mut(&self.ip) {
            *of_ip -= 1;
            if *of_ip == 0 {
                open.by_ip.remove(&self.ip);
            }
        }
    }
}

/// One subscriber usually holds a whole IPv6 /64, so that is what counts as one address.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_per_address_and_given_back() {
        let slots = Slots::new(3, 2);
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let first = slots.take(ip("2001:db8::1")).expect("free");
        let _second = slots.take(ip("2001:db8::2")).expect("free");
        assert_eq!(
            slots.take(ip("2001:db8::3")).err(),
            Some(NoSlot::PerIp),
            "one /64 is one address"
        );
        let _third = slots.take(ip("::ffff:192.0.2.1")).expect("free");
        assert_eq!(slots.take(ip("192.0.2.2")).err(), Some(NoSlot::Total));
        drop(first);
        assert!(slots.take(ip("2001:db8::3")).is_ok());
    }
}
