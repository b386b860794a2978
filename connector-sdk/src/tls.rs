//! TLS 1.3, and nothing older, with one crypto provider.

use std::{
    io,
    pin::Pin,
    sync::{Arc, PoisonError, RwLock},
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, version::TLS13};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::Service;

use crate::{enrol::PinnedAuthority, identity::Identity};

const ALPN_HTTP2: &[u8] = b"h2";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Presents `identity` and trusts its authorities.
pub(crate) fn mutual_config(identity: &Identity) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in &identity.authorities {
        roots.add(authority.clone())?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.certificates.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    Ok(config)
}

/// Presents nothing and trusts only the authority with this hash.
pub(crate) fn pinned_config(authority_spki_sha256: [u8; 32]) -> ClientConfig {
    let verifier = PinnedAuthority::new(authority_spki_sha256, provider());
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has TLS 1.3 suites")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config
}

/// The configuration that the next connection uses; replaced when a certificate is renewed.
#[derive(Clone)]
pub(crate) struct Current(Arc<RwLock<Arc<ClientConfig>>>);

impl Current {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    pub(crate) fn replace(&self, config: ClientConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    fn get(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Opens TLS connections for a channel.
#[derive(Clone)]
pub(crate) struct Connector(pub(crate) Current);

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let config = self.0.get();
        Box::pin(async move { open(config, &uri).await.map(TokioIo::new) })
    }
}

async fn open(config: Arc<ClientConfig>, uri: &Uri) -> io::Result<TlsStream<TcpStream>> {
    let invalid = |detail: String| io::Error::new(io::ErrorKind::InvalidInput, detail);
    let host = uri
        .host()
        .ok_or_else(|| invalid(format!("{uri} names no host")))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| invalid(format!("{host} is no host name: {error}")))?;
    let tcp = TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await?;
    tcp.set_nodelay(true)?;
    TlsConnector::from(config).connect(name, tcp).await
}
