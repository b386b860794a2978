use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use fulcrum_sdk::{FailureClass, Sent};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tracing::Instrument as _;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::connector::Connector;

const TOKEN: &str = "tok_5f0c1e77a2";

type Seen = Arc<Mutex<Vec<(String, HeaderMap, Vec<u8>)>>>;

/// A service that remembers what it was asked and does what the path says.
async fn service() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let router = Router::new()
        .route("/status/{code}", any(status))
        .route("/huge", get(|| async { vec![b'x'; 100_000] }))
        .route(
            "/not-json",
            get(|| async { ([("content-type", "application/json")], "{") }),
        )
        .route("/leak", get(leak))
        .route(
            "/redirect",
            get(|| async { (StatusCode::FOUND, [("location", "/status/200")]) }),
        )
        .route("/slow", any(std::future::pending::<()>))
        .fallback(|| async { axum::Json(json!({ "id": "inv_1", "amount": 19.9 })) })
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&seen),
            remember,
        ))
        .with_state(());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, seen)
}

async fn remember(
    State(seen): State<Seen>,
    request: Request,
    next: axum::middleware::Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.expect("body");
    let line = format!("{} {}", parts.method, parts.uri);
    seen.lock().expect("no test panics holding it").push((
        line,
        parts.headers.clone(),
        body.to_vec(),
    ));
    next.run(Request::from_parts(parts, body.into())).await
}

async fn status(axum::extract::Path(code): axum::extract::Path<u16>) -> impl IntoResponse {
    let status = StatusCode::from_u16(code).expect("a status");
    (status, [("retry-after", "7")], "because")
}

async fn leak(headers: HeaderMap) -> impl IntoResponse {
    let sent = headers["authorization"].to_str().expect("ascii").to_owned();
    axum::Json(json!({ "you_sent": sent, "as_key": { (sent.clone()): 1 } }))
}

fn yaml(address: SocketAddr) -> String {
    format!(
        r#"
endpoints:
  billing:
    base_url: "http://{address}"
    auth: {{ bearer: "secret://billing_token" }}
    headers: {{ X-Fixed: "one" }}
    allow_addresses: [loopback]
capabilities:
  - name: invoice.create
    effect: outward
    idempotency: keyed
    input:
      type: object
      required: [customer]
      properties: {{ customer: {{ type: string }}, lines: {{ type: array }} }}
    output: {{ type: object, required: [id] }}
    http:
      endpoint: billing
      method: POST
      path: "/customers/{{{{ input.customer }}}}/invoices"
      query: {{ tag: "{{{{ input.tags | default([]) }}}}", draft: true, none: null }}
      headers: {{ X-Run: "{{{{ effect_key }}}}" }}
      json: {{ customer: "{{{{ input.customer }}}}", lines: "{{{{ input.lines | default([]) }}}}", note: "For {{{{ input.customer }}}}" }}
      output: {{ id: "{{{{ body.id }}}}", amount: "{{{{ body.amount }}}}", status: "{{{{ status }}}}" }}
  - name: status.keyed
    effect: outward
    idempotency: keyed
    http: {{ endpoint: billing, method: POST, path: "/status/{{{{ input.code }}}}" }}
  - name: status.once
    effect: outward
    http:
      endpoint: billing
      method: POST
      path: "/status/{{{{ input.code }}}}"
      statuses: {{ "404": recoverable, "409": ok }}
  - name: slow.once
    effect: outward
    timeout: 300ms
    http: {{ endpoint: billing, method: POST, path: /slow }}
  - name: slow.read
    effect: read
    timeout: 300ms
    http: {{ endpoint: billing, method: GET, path: /slow }}
  - name: form.send
    effect: reversible
    http: {{ endpoint: billing, method: POST, path: /form, form: {{ a: "{{{{ input.a }}}}", b: 2 }} }}
  - {{ name: any.get, effect: read, http: {{ endpoint: billing, method: GET, path: "/{{{{ input.path }}}}", response_bytes_max: 1000 }} }}
"#
    )
}

async fn connector() -> (Connector, Seen) {
    let (address, seen) = service().await;
    let yaml = yaml(address);
    (
        Connector::with_secrets(&yaml, &[("billing_token", TOKEN)]),
        seen,
    )
}

#[tokio::test]
async fn a_request_is_made_from_its_templates() {
    let (connector, seen) = connector().await;
    let input =
        json!({ "customer": "a/b ü", "lines": [{ "sku": "x", "n": 2 }], "tags": ["p", "q&r"] });
    let output = connector
        .call("invoice.create", input)
        .await
        .expect("created");
    assert_eq!(
        output,
        json!({ "id": "inv_1", "amount": 19.9, "status": 200 })
    );

    let seen = seen.lock().expect("not poisoned");
    let (line, headers, body) = &seen[0];
    assert_eq!(
        line,
        "POST /customers/a%2Fb%20%C3%BC/invoices?draft=true&tag=p&tag=q%26r"
    );
    assert_eq!(headers["idempotency-key"], "key-1");
    assert_eq!(headers["x-run"], "key-1");
    assert_eq!(headers["x-fixed"], "one");
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
    let body: Value = serde_json::from_slice(body).expect("json");
    assert_eq!(
        body,
        json!({ "customer": "a/b ü", "lines": [{ "sku": "x", "n": 2 }], "note": "For a/b ü" })
    );
}

#[tokio::test]
async fn a_request_carries_the_trace_of_its_call() {
    let (connector, seen) = connector().await;
    let get = || connector.call("any.get", json!({ "path": "x" }));
    get().await.expect("answered");

    let provider = SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _traced = tracing_subscriber::registry().with(layer).set_default();
    let span = tracing::info_span!("call");
    let trace = span.context().span().span_context().trace_id().to_string();
    get().instrument(span).await.expect("answered");

    let seen = seen.lock().expect("not poisoned");
    let sent = |at: usize| seen[at].1.get("traceparent").map(|value| value.to_str());
    assert!(sent(0).is_none(), "nothing is traced");
    let sent = sent(1).expect("traced").expect("ascii");
    assert_eq!(sent.split('-').nth(1), Some(trace.as_str()), "{sent}");
}

#[tokio::test]
async fn a_form_is_encoded() {
    let (connector, seen) = connector().await;
    connector
        .call("form.send", json!({ "a": "x y&z" }))
        .await
        .expect("sent");
    let seen = seen.lock().expect("not poisoned");
    assert_eq!(String::from_utf8_lossy(&seen[0].2), "a=x+y%26z&b=2");
    assert_eq!(
        seen[0].1["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert!(!seen[0].1.contains_key("idempotency-key"));
}

#[tokio::test]
async fn input_that_breaks_the_schema_sends_nothing() {
    let (connector, seen) = connector().await;
    let failure = connector
        .refused("invoice.create", json!({ "customer": 7 }))
        .await;
    assert_eq!(
        (failure.code.as_str(), failure.sent),
        ("INPUT_INVALID", Sent::No)
    );
    assert!(failure.message.contains("/customer"), "{failure}");
    assert!(seen.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn a_value_cannot_leave_its_path() {
    let (connector, seen) = connector().await;
    let failure = connector.refused("any.get", json!({ "path": ".." })).await;
    assert_eq!(failure.code, "HTTP_REQUEST_INVALID");
    assert!(seen.lock().expect("not poisoned").is_empty());
}

#[tokio::test]
async fn statuses_become_classes() {
    let (connector, _) = connector().await;
    for (capability, code, class) in [
        ("status.keyed", 429, FailureClass::Transient),
        ("status.keyed", 503, FailureClass::Transient),
        ("status.keyed", 500, FailureClass::Transient),
        ("status.keyed", 404, FailureClass::Fatal),
        ("status.keyed", 302, FailureClass::Fatal),
        ("status.once", 429, FailureClass::Transient),
        ("status.once", 500, FailureClass::Unknown),
        ("status.once", 404, FailureClass::Recoverable),
    ] {
        let failure = connector.refused(capability, json!({ "code": code })).await;
        assert_eq!(failure.class, class, "{capability} {code}");
        assert_eq!(failure.code, format!("HTTP_{code}"));
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
        assert!(failure.message.contains("because"), "{failure}");
    }
    let output = connector.call("status.once", json!({ "code": 409 })).await;
    assert_eq!(output.expect("declared ok"), json!("because"));
}

#[tokio::test]
async fn a_secret_that_a_service_echoes_does_not_come_back() {
    let (connector, _) = connector().await;
    let output = connector
        .call("any.get", json!({ "path": "leak" }))
        .await
        .expect("output");
    let text = output.to_string();
    assert!(
        !text.contains(TOKEN) && text.contains("[secret billing_token]"),
        "{text}"
    );
}

#[tokio::test]
async fn a_response_that_is_too_large_or_not_what_it_says_is_refused() {
    let (connector, _) = connector().await;
    let failure = connector
        .refused("any.get", json!({ "path": "huge" }))
        .await;
    assert_eq!(failure.code, "HTTP_RESPONSE_TOO_LARGE");
    let failure = connector
        .refused("any.get", json!({ "path": "not-json" }))
        .await;
    assert_eq!(failure.code, "HTTP_RESPONSE_INVALID");
}

#[tokio::test]
async fn redirects_are_not_followed_unless_allowed() {
    let (connector, seen) = connector().await;
    let failure = connector
        .refused("any.get", json!({ "path": "redirect" }))
        .await;
    assert_eq!(failure.code, "HTTP_302");
    assert_eq!(seen.lock().expect("not poisoned").len(), 1);
}

#[tokio::test]
async fn a_timeout_is_unknown_for_a_write_and_transient_for_a_read() {
    let (connector, _) = connector().await;
    let write = connector.refused("slow.once", json!({})).await;
    assert_eq!(
        (write.class, write.sent),
        (FailureClass::Unknown, Sent::Maybe),
        "{write}"
    );
    let read = connector.refused("slow.read", json!({})).await;
    assert_eq!(read.class, FailureClass::Transient, "{read}");
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_unknown_for_a_write() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        // Takes each request and hangs up without a word.
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.shutdown().await;
        }
    });
    let connector = Connector::with_secrets(&yaml(address), &[("billing_token", TOKEN)]);
    let write = connector
        .refused("status.once", json!({ "code": 200 }))
        .await;
    assert_eq!(
        (write.class, write.code.as_str()),
        (FailureClass::Unknown, "HTTP_CONNECTION_LOST")
    );
    let keyed = connector
        .refused("status.keyed", json!({ "code": 200 }))
        .await;
    assert_eq!(keyed.class, FailureClass::Transient);
}

#[tokio::test]
async fn a_refused_connection_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let connector = Connector::with_secrets(&yaml(address), &[("billing_token", TOKEN)]);
    let failure = connector
        .refused("status.once", json!({ "code": 200 }))
        .await;
    assert_eq!(
        (failure.class, failure.sent),
        (FailureClass::Transient, Sent::No),
        "{failure}"
    );
}

#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_refused_unless_allowed() {
    let (address, seen) = service().await;
    let port = address.port();
    let yaml = format!(
        r#"
endpoints: {{ inner: {{ base_url: "http://localhost:{port}" }} }}
capabilities: [{{ name: a.get, effect: read, http: {{ endpoint: inner, method: GET, path: / }} }}]
"#
    );
    let failure = Connector::new(&yaml).refused("a.get", json!({})).await;
    assert_eq!(
        (failure.class, failure.code.as_str()),
        (FailureClass::Fatal, "HTTP_ADDRESS_REFUSED")
    );
    assert!(failure.message.contains("allow_addresses"), "{failure}");
    assert!(seen.lock().expect("not poisoned").is_empty());
}
