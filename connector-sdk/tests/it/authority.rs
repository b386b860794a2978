//! A certificate authority for one test.

use std::{sync::Arc, time::Duration};

use fulcrum_proto::worker::v1::EnrolResponse;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa,
    KeyPair, PublicKeyData as _,
};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier, version::TLS13};
use rustls_pki_types::{CertificateSigningRequestDer, PrivateKeyDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    pub(crate) fn token(&self, secret: &str) -> String {
        let spki = self.issuer.key().subject_public_key_info();
        format!("v1.{}.tok1.{secret}", hex::encode(Sha256::digest(spki)))
    }

    /// Certifies a request for so long, of which so much has passed already.
    pub(crate) fn certify(&self, csr: &[u8], age: Duration, left: Duration) -> String {
        let csr = CertificateSigningRequestDer::from(csr.to_vec());
        let mut csr = CertificateSigningRequestParams::from_der(&csr).unwrap();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        let date =
            |at: Duration| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_secs());
        csr.params.not_before = date(now - age);
        csr.params.not_after = date(now + left);
        csr.signed_by(&self.issuer).unwrap().pem()
    }

    pub(crate) fn enrol(&self, csr: &[u8], endpoint: &str, age: Duration) -> EnrolResponse {
        EnrolResponse {
            certificate_chain_pem: self.certify(csr, age, Duration::from_secs(3600)),
            ca_bundle_pem: self.issuer.pem(),
            worker_id: "wrk_1".into(),
            endpoint: endpoint.into(),
            name: "box".into(),
            namespace: "acme".into(),
            ..EnrolResponse::default()
        }
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn enrolment_tls(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth();
        self.present(builder)
    }

    pub(crate) fn mutual_tls(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier);
        self.present(builder)
    }

    fn present(
        &self,
        builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![leaf.der().clone(), self.issuer.der().clone()];
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}
