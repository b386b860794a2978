//! A listener at work: the accept loop, tonic with every limit set, and an end that cannot hang.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

use super::accept::{Acceptor, PeerProof, handover};
use super::calls::Calls;
use super::connection::Connections;
use super::limits::ServerLimits;
use super::tls::LiveTls;
use crate::entropy::Entropy;
use crate::loops::jitter;

const HTTP2_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const HTTP2_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams reset by our own errors before a connection is closed; unlimited in tonic (RUSTSEC-2024-0003).
const LOCAL_ERROR_RESETS_MAX: usize = 256;
/// Streams reset by the client before they were accepted; h2's own default, said aloud.
const PENDING_ACCEPT_RESETS_MAX: usize = 20;
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;

/// A listener and all it needs.
pub struct Listener {
    /// Its name in the log.
    pub name: &'static str,
    /// The bound socket.
    pub socket: TcpListener,
    /// Its TLS configuration.
    pub tls: LiveTls,
    /// What its peers prove.
    pub proof: PeerProof,
    /// What every call goes through.
    pub calls: Calls,
    /// What it serves.
    pub routes: Routes,
    /// Its limits.
    pub limits: ServerLimits,
    /// Its open connections.
    pub connections: Arc<Connections>,
}

impl Listener {
    /// Serves until `stop`, then lets calls in flight finish, for at most `grace`; connections that are still open then
    /// are cut. tonic's own graceful end can wait for ever on a connection that does not close.
    pub async fn serve(self, stop: CancellationToken, grace: Duration) {
        let server = builder(&self.limits).layer(self.calls);
        let acceptor = Acceptor::new(
            self.socket,
            self.tls,
            self.proof,
            self.limits,
            Arc::clone(&self.connections),
        );
        let (out, accepted) = handover();
        let incoming = ReceiverStream::new(accepted).map(Ok::<_, Infallible>);
        let serving = server.serve_with_incoming_shutdown(
            self.routes,
            incoming,
            stop.clone().cancelled_owned(),
        );
        let accepting = acceptor.run(out, stop.clone());
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
            let cut = self.connections.cut(|_| true);
            tracing::warn!(
                listener = self.name,
                connections = cut,
                "connections cut at the shutdown deadline"
            );
            // A cut connection ends as soon as it is polled.
            tokio::time::sleep(Duration::from_secs(1)).await;
        };
        tokio::select! {
            ((), served) = async { tokio::join!(accepting, serving) } => match served {
                Ok(()) => tracing::info!(listener = self.name, "listener closed"),
                Err(error) => tracing::error!(listener = self.name, %error, "listener failed"),
            },
            () = deadline => {}
        }
    }
}

/// The one constructor of a tonic server: every limit that tonic leaves open is set here. Message sizes are set per
/// service, with [`ServerLimits::message_in_bytes_max`] and [`ServerLimits::message_out_bytes_max`].
fn builder(limits: &ServerLimits) -> Server {
    Server::builder()
        .max_concurrent_streams(limits.streams_per_connection_max)
        .concurrency_limit_per_connection(limits.streams_per_connection_max as usize)
        .load_shed(true)
        .http2_max_local_error_reset_streams(Some(LOCAL_ERROR_RESETS_MAX))
        .http2_max_pending_accept_reset_streams(Some(PENDING_ACCEPT_RESETS_MAX))
        .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
        .http2_keepalive_interval(Some(HTTP2_KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(HTTP2_KEEPALIVE_TIMEOUT))
        .max_connection_age(jitter::around(
            Duration::from_millis(limits.connection_age_max_ms),
            10,
            &Entropy::system(),
        ))
        .accept_http1(false)
}
