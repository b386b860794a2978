//! From TCP to TLS: the accept loop of a listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Connection, Connections, Peer};
use super::limits::ServerLimits;
use super::slots::{Slot, Slots};
use super::tls::LiveTls;
use crate::clock;
use crate::entropy::Entropy;
use crate::identity::PeerCertificate;
use crate::identity::principal::PeerCertificateError;
use crate::loops::jitter;

/// Pause after the operating system refuses to hand out a connection (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Handshaken connections that wait for tonic to take them.
const HANDOVER_MAX: usize = 16;

/// Whose certificate a listener expects of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerProof {
    /// A client certificate was verified; read the principal from it.
    Certificate,
    /// Nobody proved anything.
    None,
}

/// A listener before tonic.
pub struct Acceptor {
    listener: TcpListener,
    tls: LiveTls,
    proof: PeerProof,
    limits: ServerLimits,
    slots: Arc<Slots>,
    handshakes: Arc<Semaphore>,
    connections: Arc<Connections>,
}

/// A connection that may start its handshake.
struct Newcomer {
    stream: TcpStream,
    address: SocketAddr,
    slot: Slot,
    _permit: OwnedSemaphorePermit,
}

/// Why a connection did not become one. Logged at debug: it is the other side's doing, and anybody can cause it.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the handshake took longer than `server.handshake_timeout_ms`")]
    Timeout,
    #[error("the handshake failed: {0}")]
    Tls(#[from] std::io::Error),
    #[error("no client certificate")]
    NoCertificate,
    #[error(transparent)]
    Certificate(#[from] PeerCertificateError),
}

impl Acceptor {
    /// A listener with its limits.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        tls: LiveTls,
        proof: PeerProof,
        limits: ServerLimits,
        connections: Arc<Connections>,
    ) -> Self {
        let slots = Slots::new(limits.connections_max, limits.connections_per_ip_max);
        let handshakes = Arc::new(Semaphore::new(limits.handshakes_max as usize));
        Self {
            listener,
            tls,
            proof,
            limits,
            slots,
            handshakes,
            connections,
        }
    }

    /// Accepts until `stop`; each connection that completes its handshake comes out of the receiver.
    pub(super) async fn run(self, out: mpsc::Sender<Connection>, stop: CancellationToken) {
        let under_way = TaskTracker::new();
        let this = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = this.accept() => accepted,
            };
            let Some(newcomer) = accepted else { continue };
            let address = newcomer.address;
            let (this, out, stop) = (Arc::clone(&this), out.clone(), stop.clone());
            under_way.spawn(async move {
                let connection = tokio::select! {
                    () = stop.cancelled() => return,
                    connection = this.handshake(newcomer) => connection,
                };
                match connection {
                    Ok(connection) => drop(out.send(connection).await),
                    Err(error) => tracing::debug!(%address, %error, "connection refused"),
                }
            });
        }
        under_way.close();
        under_way.wait().await;
    }

    /// The next connection that may start a handshake. Waiting for a free handshake leaves newcomers in the kernel's
    /// backlog.
    async fn accept(&self) -> Option<Newcomer> {
        let permit = Arc::clone(&self.handshakes).acquire_owned().await.ok()?;
        let (stream, address) = match self.listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return None;
            }
        };
        match self.slots.take(address.ip()) {
            Ok(slot) => Some(Newcomer {
                stream,
                address,
                slot,
                _permit: permit,
            }),
            Err(reason) => {
                tracing::debug!(%address, %reason, "connection refused");
                None
            }
        }
    }

    async fn handshake(&self, newcomer: Newcomer) -> Result<Connection, HandshakeError> {
        let Newcomer {
            stream,
            address,
            slot,
            _permit,
        } = newcomer;
        stream.set_nodelay(true)?;
        let handshake = TlsAcceptor::from(self.tls.current()).accept(stream);
        let stream = tokio::time::timeout(self.limits.handshake_timeout(), handshake)
            .await
            .map_err(|_| HandshakeError::Timeout)??;
        let certificate = match self.proof {
            PeerProof::None => None,
            PeerProof::Certificate => {
                let chain = stream
                    .get_ref()
                    .1
                    .peer_certificates()
                    .ok_or(HandshakeError::NoCertificate)?;
                let leaf = chain.first().ok_or(HandshakeError::NoCertificate)?;
                Some(Arc::new(PeerCertificate::from_der(leaf)?))
            }
        };
        let ends_at = clock::monotonic() + self.age_max();
        Ok(Connection::new(
            stream,
            Peer {
                address,
                certificate,
            },
            &self.connections,
            slot,
            ends_at,
        ))
    }

    /// tonic asks a connection to close at `connection_age_max`; this is when it is cut if it did not.
    fn age_max(&self) -> Duration {
        let age = Duration::from_millis(self.limits.connection_age_max_ms);
        let grace = Duration::from_millis(self.limits.connection_age_grace_ms);
        age + age / 10 + jitter::around(grace, 10, &Entropy::system())
    }
}

/// The channel between the accept loop and tonic.
pub(super) fn handover() -> (mpsc::Sender<Connection>, mpsc::Receiver<Connection>) {
    mpsc::channel(HANDOVER_MAX)
}
