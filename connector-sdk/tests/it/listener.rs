//! A TLS listener for tonic.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_util::stream;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// Cuts every connection made so far, as a cable or a dying process would.
#[derive(Default)]
pub(crate) struct Cutter {
    current: Mutex<CancellationToken>,
}

impl Cutter {
    pub(crate) fn cut(&self) {
        std::mem::take(&mut *self.current.lock().unwrap()).cancel();
    }

    fn wait(&self) -> WaitForCancellationFutureOwned {
        self.current.lock().unwrap().clone().cancelled_owned()
    }
}

/// Accepts TLS connections; those that fail their handshake are skipped.
pub(crate) fn incoming(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    cutter: Arc<Cutter>,
) -> impl futures_util::Stream<Item = std::io::Result<TlsConnection>> {
    let acceptor = TlsAcceptor::from(config);
    stream::unfold(
        (listener, acceptor, cutter),
        |(listener, acceptor, cutter)| async move {
            loop {
                let (tcp, _) = listener.accept().await.ok()?;
                if let Ok(tls) = acceptor.accept(tcp).await {
                    let connection = TlsConnection {
                        tls,
                        cut: Box::pin(cutter.wait()),
                    };
                    return Some((Ok(connection), (listener, acceptor, cutter)));
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
