//! One connection of a worker, carried to the controller call by call.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::faults::{Fault, Faults};

type Upstream = SendRequest<Full<Bytes>>;

#[derive(Clone)]
pub(super) struct Carrier {
    pub(super) acceptor: TlsAcceptor,
    pub(super) connector: TlsConnector,
    pub(super) upstream: Uri,
    pub(super) faults: Arc<Faults>,
}

impl Carrier {
    /// Carries a connection until either end closes it or a call on it is lost.
    pub(super) async fn carry(self, client: TcpStream) -> anyhow::Result<()> {
        client.set_nodelay(true)?;
        let client = self.acceptor.accept(client).await?;
        // Dropping the set ends the connection to the controller with this one.
        let mut background = JoinSet::new();
        let upstream = self.connect(&mut background).await?;
        let broken = CancellationToken::new();
        let service = service_fn(|request| {
            let (carrier, upstream, broken) = (self.clone(), upstream.clone(), broken.clone());
            async move {
                let path = request.uri().path().to_owned();
                let fault = carrier.faults.next(&path);
                let answer = carrier.call(upstream, request, fault).await;
                if answer.is_err() {
                    broken.cancel();
                    // The connection is about to end; no answer must leave before.
                    std::future::pending::<()>().await;
                }
                answer
            }
        });
        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(client), service);
        tokio::select! {
            served = serving => served?,
            () = broken.cancelled() => {}
            _closed = background.join_next() => {}
        }
        Ok(())
    }

    async fn connect(&self, background: &mut JoinSet<()>) -> anyhow::Result<Upstream> {
        let authority = self.upstream.authority().context("an address has a host")?;
        let name = ServerName::try_from(authority.host().to_owned())?;
        let tcp = TcpStream::connect(authority.as_str()).await?;
        tcp.set_nodelay(true)?;
        let tls = self.connector.connect(name, tcp).await?;
        let (upstream, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .handshake(TokioIo::new(tls))
            .await?;
        background.spawn(async move {
            // However it ended, the worker's side ends with it.
            let _ended = connection.await;
        });
        Ok(upstream)
    }

    /// Makes a call on the worker's behalf; an error stands for a call that was lost.
    async fn call(
        &self,
        upstream: Upstream,
        request: Request<Incoming>,
        fault: Option<Fault>,
    ) -> anyhow::Result<
        Response<http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>>,
    > {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        match fault {
            Some(Fault::LoseRequest) => anyhow::bail!("lost on the way there"),
            Some(Fault::DelayRequest(pause)) => tokio::time::sleep(pause).await,
            Some(Fault::LoseAnswer | Fault::DelayAnswer(_) | Fault::Repeat(_)) | None => {}
        }
        let times = match fault {
            Some(Fault::Repeat(times)) => times.max(1),
            Some(_) | None => 1,
        };
        let mut answer = self.send(upstream.clone(), &head, body.clone()).await?;
        for _ in 1..times {
            answer = self.send(upstream.clone(), &head, body.clone()).await?;
        }
        match fault {
            Some(Fault::LoseAnswer) => anyhow::bail!("lost on the way back"),
            Some(Fault::DelayAnswer(pause)) => tokio::time::sleep(pause).await,
            Some(Fault::LoseRequest | Fault::DelayRequest(_) | Fault::Repeat(_)) | None => {}
        }
        let (head, body) = answer;
        let mut response = Response::from_parts(head, Full::new(body.data).boxed());
        if let Some(trailers) = body.trailers {
            let (head, body) = response.into_parts();
            let body = body.with_trailers(async move { Some(Ok(trailers)) });
            response = Response::from_parts(head, body.boxed());
        }
        Ok(response)
    }

    async fn send(
        &self,
        mut upstream: Upstream,
        head: &http::request::Parts,
        body: Bytes,
    ) -> anyhow::Result<(http::response::Parts, Whole)> {
        let path = head.uri.path_and_query().context("a call has a path")?;
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.upstream.authority().context("a host")?.as_str())
            .path_and_query(path.as_str())
            .build()?;
        let mut request = Request::builder().method(head.method.clone()).uri(uri);
        for (name, value) in &head.headers {
            request = request.header(name, value);
        }
        let response = upstream
            .send_request(request.body(Full::new(body))?)
            .await?;
        let (head, body) = response.into_parts();
        Ok((head, Whole::from(body.collect().await?)))
    }
}

/// A body read to its end.
struct Whole {
    data: Bytes,
    trailers: Option<http::HeaderMap>,
}

impl From<Collected<Bytes>> for Whole {
    fn from(body: Collected<Bytes>) -> Self {
        Self {
            trailers: body.trailers().cloned(),
            data: body.to_bytes(),
        }
    }
}
