//! A TLS listener for tonic.

use std::{
    net::TcpListener as StdTcpListener,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::stream;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, transport::server::Connected};

use crate::service::busy;

const PATIENCE: Duration = Duration::from_secs(20);

/// What happens to those who knock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// They are let in.
    #[default]
    Open,
    /// They are let in, and each of their calls is refused: come back later.
    Busy,
    /// Nobody is there: connections break off.
    Shut,
}

/// An address and what happens there.
pub(crate) struct Door {
    listener: StdTcpListener,
    endpoint: String,
    manner: Mutex<Manner>,
    connections: Mutex<CancellationToken>,
    knocks: watch::Sender<usize>,
    /// When calls arrived.
    calls: watch::Sender<Vec<Instant>>,
}

impl Door {
    pub(crate) fn bind() -> Self {
        let listener = StdTcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        Self {
            listener,
            endpoint: format!("https://localhost:{port}"),
            manner: Mutex::default(),
            connections: Mutex::default(),
            knocks: watch::Sender::default(),
            calls: watch::Sender::default(),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
        if manner == Manner::Shut {
            self.cut();
        }
    }

    /// Cuts every connection made so far, as a cable or a dying process would.
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.connections.lock().unwrap()).cancel();
    }

    /// Waits until so many connections were tried.
    pub(crate) async fn knocked(&self, times: usize) {
        let mut knocks = self.knocks.subscribe();
        let knocked = knocks.wait_for(|count| *count >= times);
        let knocked = tokio::time::timeout(PATIENCE, knocked).await;
        knocked.expect("so many within 20 s").unwrap();
    }

    /// Waits until so many calls were made, and says when.
    pub(crate) async fn called(&self, times: usize) -> Vec<Instant> {
        let mut calls = self.calls.subscribe();
        let called = calls.wait_for(|calls| calls.len() >= times);
        let called = tokio::time::timeout(PATIENCE, called).await;
        called.expect("so many within 20 s").unwrap().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.borrow().len()
    }

    pub(crate) fn admit(&self) -> Result<(), Status> {
        self.calls.send_modify(|calls| calls.push(Instant::now()));
        match *self.manner.lock().unwrap() {
            Manner::Open | Manner::Shut => Ok(()),
            Manner::Busy => Err(busy()),
        }
    }

    /// Trips when the connection made now is to be cut; nothing if none is to be made.
    fn welcome(&self) -> Option<WaitForCancellationFutureOwned> {
        self.knocks.send_modify(|count| *count += 1);
        let manner = self.manner.lock().unwrap();
        match *manner {
            Manner::Open | Manner::Busy => {
                Some(self.connections.lock().unwrap().clone().cancelled_owned())
            }
            Manner::Shut => None,
        }
    }
}

/// Accepts TLS connections; those that fail their handshake are skipped.
pub(crate) fn incoming(
    door: Arc<Door>,
    config: Arc<ServerConfig>,
) -> impl futures_util::Stream<Item = std::io::Result<TlsConnection>> {
    let acceptor = TlsAcceptor::from(config);
    let listener = TcpListener::from_std(door.listener.try_clone().unwrap()).unwrap();
    stream::unfold(
        (listener, acceptor, door),
        |(listener, acceptor, door)| async move {
            loop {
                let (tcp, _) = listener.accept().await.ok()?;
                let Some(cut) = door.welcome() else {
                    continue;
                };
                if let Ok(tls) = acceptor.accept(tcp).await {
                    let cut = Box::pin(cut);
                    let connection = TlsConnection { tls, cut };
                    return Some((Ok(connection), (listener, acceptor, door)));
                }
            }
        },
    )
}

pub(crate) struct TlsConnection {
    tls: TlsStream<TcpStream>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connected for TlsConnection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.tls).poll_read(cx, buffer)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
