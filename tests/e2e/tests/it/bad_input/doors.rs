//! Strangers at the listener: no certificate of ours, or no TLS at all.

use std::error::Error as _;
use std::time::Duration;

use fulcrum_e2e::api::NAMESPACE;
use fulcrum_e2e::stack::Stack;
use fulcrum_proto::workflow::v1::ListRunsRequest;
use fulcrum_proto::workflow::v1::run_service_client::RunServiceClient;
use fulcrum_sdk::{Identity, IdentityDir, channel, client};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;

/// Our authority's certificate to trust, and a client certificate of another one, made out to our operator.
fn stranger(stack: &Stack) -> anyhow::Result<Identity> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = params.signed_by(&key, &authority)?;

    let ours = stack.dir().join("operator/identity");
    let about = IdentityDir::at(&ours).load()?.about.expect("enrolled");
    let dir = IdentityDir::at(stack.dir().join("stranger"));
    let trusted = std::fs::read_to_string(ours.join("ca.pem"))?;
    dir.store(&leaf.pem(), &key.serialize_pem(), &trusted, &about)?;
    Ok(dir.load()?)
}

fn list() -> ListRunsRequest {
    ListRunsRequest {
        namespace: NAMESPACE.to_owned(),
        ..ListRunsRequest::default()
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_opens_nothing() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let stranger = stranger(&stack)?;
    let endpoint = stack.controllers[0].endpoint();

    // TLS 1.3 tells the client after its own handshake is done, so it may be the first call that fails. Whether the
    // client reads the alert or meets the closed socket first is a race; either way the connection ended, and no
    // answer came from behind it.
    if let Ok(channel) = channel::connect(&endpoint, &stranger).await {
        let refused = client::runs(channel)
            .list_runs(list())
            .await
            .expect_err("nobody answers a stranger");
        assert!(
            refused.source().is_some(),
            "an answer came through: {refused:?}"
        );
    }

    // It serves everybody else as before.
    client::runs(stack.api.channel()).list_runs(list()).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_without_tls_is_shown_the_door() -> anyhow::Result<()> {
    let stack = Stack::start().await?;
    let address = stack.controllers[0].endpoint().replace("https://", "");

    let plain = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
    let answer = RunServiceClient::new(plain).list_runs(list()).await;
    assert!(answer.is_err(), "{answer:?}");

    let mut stream = TcpStream::connect(&address).await?;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await?;
    let mut answer = Vec::new();
    let closed =
        tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await?;
    // A TLS alert at most (record type 21), and the end.
    assert!(
        closed.is_err() || answer.is_empty() || answer[0] == 21,
        "{answer:?}"
    );

    client::runs(stack.api.channel()).list_runs(list()).await?;
    Ok(())
}
