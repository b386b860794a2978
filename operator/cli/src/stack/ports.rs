//! Who listens where: four neighbouring ports of loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::error::StackError;

/// How many ports a stack uses.
pub const COUNT: u16 = 4;
/// Where to look for free ports: below the range that systems give to outgoing connections.
const FREE_FROM: u16 = 15_000;
const FREE_TO: u16 = 32_000;

/// The ports of one stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    base: u16,
}

impl Ports {
    /// The ports from `base` on, all free just now.
    ///
    /// # Errors
    /// [`StackError::PortTaken`].
    pub fn at(base: u16) -> Result<Self, StackError> {
        for port in base..base.saturating_add(COUNT) {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .map_err(|source| StackError::PortTaken { port, source })?;
        }
        Ok(Self { base })
    }

    /// Free ports somewhere. The search begins at random, so that two at once seldom meet.
    ///
    /// # Errors
    /// [`StackError::PortTaken`] if there are none.
    pub fn anywhere() -> Result<Self, StackError> {
        let blocks = (FREE_TO - FREE_FROM) / COUNT;
        // Without randomness two searches may meet, and one of them says that a port is taken.
        let mut seed = [0; 2];
        let _ = getrandom::fill(&mut seed);
        let first = u16::from_ne_bytes(seed) % blocks;
        let bases = (0..blocks).map(|n| FREE_FROM + (first + n) % blocks * COUNT);
        let mut last = None;
        for base in bases {
            match Ports::at(base) {
                Ok(ports) => return Ok(ports),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there is at least one block"))
    }

    /// The controller's API.
    #[must_use]
    pub fn api(self) -> SocketAddr {
        self.nth(0)
    }

    /// Enrolment.
    #[must_use]
    pub fn enrolment(self) -> SocketAddr {
        self.nth(1)
    }

    /// Health.
    #[must_use]
    pub fn http(self) -> SocketAddr {
        self.nth(2)
    }

    /// PostgreSQL.
    #[must_use]
    pub fn postgres(self) -> u16 {
        self.nth(3).port()
    }

    fn nth(self, n: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.base + n).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_named() {
        let ports = Ports::anywhere().expect("free ports");
        let _taken = TcpListener::bind(ports.enrolment()).expect("binds");
        match Ports::at(ports.api().port()) {
            Err(StackError::PortTaken { port, .. }) => assert_eq!(port, ports.enrolment().port()),
            other => panic!("not refused: {other:?}"),
        }
    }
}
