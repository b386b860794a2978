//! The gRPC server: from a TCP connection to a call with a principal, every step under a limit.
//!
//! tonic's own TLS is off: it has no handshake timeout, no reload and no revocation. Instead:
//!
//! 1. [`accept`] takes connections under a cap per address ([`slots`]) and a cap on handshakes, gives each five seconds,
//!    and takes the TLS configuration of the moment from [`tls`]: TLS 1.3 only, client certificate required on the main
//!    listener. A plaintext client is cut off here.
//! 2. [`connection`] is what tonic then serves: it carries the peer's [`PeerCertificate`](crate::identity::PeerCertificate)
//!    and can be cut from outside, by revocation, by old age or by the shutdown deadline.
//! 3. [`listen`] holds the one place where tonic's limits are set.
//! 4. [`calls`] wraps every call: trace, panic guard, [`authorize`] by the method table and the roll, [`admission`] by
//!    class, [`deadline`]. Handlers find `Caller` and `Deadline` among the request's extensions.
//! 5. [`fault`] is the one place that makes a `tonic::Status`.

pub mod accept;
pub mod admission;
pub mod authorize;
pub mod calls;
pub mod connection;
pub mod deadline;
pub mod fault;
pub mod limits;
pub mod listen;
pub mod slots;
pub mod tls;

pub use authorize::{Caller, Door};
pub use deadline::Deadline;
pub use fault::Fault;
pub use limits::ServerLimits;
