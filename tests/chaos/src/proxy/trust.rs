//! Certificates on both sides of a proxy.

use std::io::Write as _;
use std::sync::Arc;

use fulcrum_sdk::IdentityDir;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig, version::TLS13};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};

const ALPN_HTTP2: &[u8] = b"h2";

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A certificate for loopback, whose authority the worker trusts from its next start on.
pub(super) fn own_certificate(identity: &IdentityDir) -> anyhow::Result<ServerConfig> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let mut trusted = std::fs::File::options()
        .append(true)
        .open(identity.path().join("ca.pem"))?;
    writeln!(trusted, "{}", issuer.pem())?;

    let key = KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let chain = vec![leaf.der().clone(), issuer.der().clone()];
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    Ok(config)
}

/// What the worker itself would show the controller.
pub(super) fn as_worker(identity: &IdentityDir) -> anyhow::Result<ClientConfig> {
    let identity = identity.load()?;
    let mut roots = RootCertStore::empty();
    for authority in identity.authorities {
        roots.add(authority)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.certificates, identity.key)?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    Ok(config)
}
