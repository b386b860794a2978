//! TLS configurations, one per listener, swapped while running.
//!
//! TLS 1.3 only, one crypto provider, no session tickets: every connection shows its certificate.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls_pki_types::CertificateDer;

use crate::identity::authority::ServerCertificate;

/// Whether a listener asks for a client certificate.
#[derive(Debug, Clone)]
pub enum ClientCertificates {
    /// Required, and must chain to this root.
    Required(CertificateDer<'static>),
    /// Not asked for: the enrolment listener, whose callers have none yet.
    NotAsked,
}

/// Why a configuration cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate and its key do not fit, or the library refused.
    #[error("TLS configuration: {0}")]
    Rustls(#[from] rustls::Error),
    /// The root cannot be used to verify clients.
    #[error("the root certificate cannot verify clients: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// The configuration of a listener; each handshake takes the one of its moment.
#[derive(Clone)]
pub struct LiveTls {
    config: Arc<ArcSwap<ServerConfig>>,
}

impl LiveTls {
    /// Starts with this one.
    #[must_use]
    pub fn new(config: ServerConfig) -> Self {
        Self {
            config: Arc::new(ArcSwap::from_pointee(config)),
        }
    }

    /// Swaps it; open connections keep theirs.
    pub fn replace(&self, config: ServerConfig) {
        self.config.store(Arc::new(config));
    }

    /// The one of this moment.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

/// The one crypto provider.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A configuration for a listener.
///
/// # Errors
/// When the certificate cannot be used.
pub fn server_config(
    own: &ServerCertificate,
    clients: &ClientCertificates,
) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match clients {
        ClientCertificates::Required(root) => {
            let mut roots = RootCertStore::empty();
            roots.add(root.clone())?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
        ClientCertificates::NotAsked => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(own.chain.clone(), own.key.clone_key())?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}
