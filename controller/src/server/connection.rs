//! A connection after its handshake, as tonic serves it.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::slots::Slot;
use crate::identity::PeerCertificate;

/// Who is at the other end. Found among the extensions of every request.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The verified certificate; `None` on the enrolment listener, where none is asked for.
    pub certificate: Option<Arc<PeerCertificate>>,
}

/// The open connections of a listener, so that they can be cut.
#[derive(Default)]
pub struct Connections {
    open: Mutex<OpenConnections>,
}

#[derive(Default)]
struct OpenConnections {
    next: u64,
    by_number: HashMap<u64, (Peer, CancellationToken)>,
}

impl Connections {
    /// Cuts the connections whose peer answers to this, and says how many they were.
    pub fn cut(&self, doomed: impl Fn(&Peer) -> bool) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.by_number
            .values()
            .filter(|(peer, _)| doomed(peer))
            .map(|(_, token)| token.cancel())
            .count()
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_number
            .len()
    }

    fn add(self: &Arc<Self>, peer: Peer) -> (Entry, CancellationToken) {
        let token = CancellationToken::new();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let number = open.next;
        open.next += 1;
        open.by_number.insert(number, (peer, token.clone()));
        (
            Entry {
                connections: Arc::clone(self),
                number,
            },
            token,
        )
    }
}

struct Entry {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_number
            .remove(&self.number);
    }
}

/// A TLS stream that fails when it is cut or too old.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    ends_at: Pin<Box<Sleep>>,
    _entry: Entry,
    _slot: Slot,
}

impl Connection {
    /// Enters a stream among the open connections. It lives until `ends_at` at the latest.
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        peer: Peer,
        connections: &Arc<Connections>,
        slot: Slot,
        ends_at: Instant,
    ) -> Self {
        let (entry, token) = connections.add(peer.clone());
        Self {
            stream,
            peer,
            cut: Box::pin(token.cancelled_owned()),
            ends_at: Box::pin(tokio::time::sleep_until(ends_at)),
            _entry: entry,
            _slot: slot,
        }
    }

    /// hyper always has a read pending, so a cut is noticed at once.
    fn poll_cut(&mut self, context: &mut Context<'_>) -> Result<(), io::Error> {
        let cut = self.cut.as_mut().poll(context).is_ready()
            || self.ends_at.as_mut().poll(context).is_ready();
        if cut {
            Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "cut by the server",
            ))
        } else {
            Ok(())
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
