//! A proxy between one worker and its controller that knows each call by its method, and loses, delays or repeats it.
//!
//! It ends TLS on both sides with what the test owns on disk: the worker is told to trust the proxy's certificate, and
//! the proxy shows the controller the worker's own. Bodies pass as bytes; every call of a worker is unary, so each is
//! read to its end before it goes on. A call that is lost breaks its connection, as a broken network would.

mod carry;
mod faults;
mod trust;

use std::net::SocketAddr;
use std::sync::Arc;

use fulcrum_sdk::IdentityDir;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub use faults::{Fault, Faults, Tally};

/// A proxy for one identity. Ends with the value, and its connections with it.
pub struct Proxy {
    address: SocketAddr,
    /// What it does to calls, changeable at any time.
    pub faults: Arc<Faults>,
    listener: JoinHandle<()>,
}

impl Proxy {
    /// A proxy to `controller` (`https://host:port`) for the worker with this identity, which is changed to trust it.
    pub async fn before(controller: &str, identity: &IdentityDir) -> anyhow::Result<Self> {
        let upstream: http::Uri = controller.parse()?;
        let shown = trust::own_certificate(identity)?;
        let presented = trust::as_worker(identity)?;
        let listener = TcpListener::bind(fulcrum_e2e::ports::free()?).await?;
        let address = listener.local_addr()?;
        let faults = Arc::<Faults>::default();
        let carrier = carry::Carrier {
            acceptor: TlsAcceptor::from(Arc::new(shown)),
            connector: TlsConnector::from(Arc::new(presented)),
            upstream,
            faults: Arc::clone(&faults),
        };
        let listener = tokio::spawn(async move {
            // Dropping the set, when the listener is aborted, breaks every connection.
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let carrier = carrier.clone();
                connections.spawn(async move {
                    // A connection that cannot be carried is closed: the worker sees a broken network.
                    let _ended = Box::pin(carrier.carry(client)).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            faults,
            listener,
        })
    }

    /// Where the worker connects instead.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
