//! One command is one trace: from the command line through the controller to the worker, and onto the timeline.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use fulcrum_e2e::program::Program;
use fulcrum_e2e::{ports, stack::Stack, wait};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tokio::sync::mpsc;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::story;

/// Spans that wait for the test to look at them.
const SPANS_MAX: usize = 10_000;

/// A span and the service that sent it.
#[derive(Clone, Debug)]
struct Sent {
    service: String,
    span: Span,
}

struct Receiver(mpsc::Sender<Sent>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = resource
                .resource
                .map(|resource| resource.attributes)
                .unwrap_or_default();
            let name = attributes
                .into_iter()
                .find(|attribute| attribute.key == "service.name");
            let service = match name.and_then(|name| name.value?.value) {
                Some(Any::StringValue(service)) => service,
                other => return Err(Status::invalid_argument(format!("no service: {other:?}"))),
            };
            for span in resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                let sent = Sent {
                    service: service.clone(),
                    span,
                };
                let over = |_| Status::cancelled("the test is over");
                self.0.send(sent).await.map_err(over)?;
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Receives spans over OTLP/gRPC, as a collector would.
fn collector() -> anyhow::Result<(SocketAddr, mpsc::Receiver<Sent>)> {
    let address = ports::free()?;
    let (sender, receiver) = mpsc::channel(SPANS_MAX);
    let service = TraceServiceServer::new(Receiver(sender));
    tokio::spawn(Server::builder().add_service(service).serve(address));
    Ok((address, receiver))
}

/// A trace is whole when each span's parent is there, but for the one root.
fn obstacle(trace: &[Sent], services: &[&str]) -> Option<String> {
    let here: BTreeSet<&str> = trace.iter().map(|sent| &*sent.service).collect();
    if let Some(missing) = services.iter().find(|service| !here.contains(*service)) {
        return Some(format!("no span of {missing} among {here:?}"));
    }
    let ids: BTreeSet<&[u8]> = trace.iter().map(|sent| &*sent.span.span_id).collect();
    let orphans = trace
        .iter()
        .filter(|sent| !ids.contains(&*sent.span.parent_span_id));
    let roots: Vec<_> = orphans
        .map(|sent| {
            (
                &sent.service,
                &sent.span.name,
                hex(&sent.span.parent_span_id),
            )
        })
        .collect();
    match &roots[..] {
        [(service, _, parent)] if *service == "fulcrum-cli" && parent.is_empty() => None,
        _ => Some(format!("one root of the command line is wanted: {roots:?}")),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An executor that sends its spans there.
async fn executor(stack: &Stack, otlp: &str) -> anyhow::Result<Program> {
    let controller = &stack.controllers[0];
    let identity = stack.worker_dir("executor").join("identity");
    let mut executor = Program::new("executor", stack.dir(), "fulcrum-executor")?
        .args([
            "run",
            "--otlp-endpoint",
            otlp,
            "--identity-dir",
            &identity.to_string_lossy(),
        ])
        .args([
            "--controller",
            &controller.endpoint(),
            "--enrolment",
            &controller.enrolment(),
        ])
        .env(
            "FULCRUM_JOIN_TOKEN",
            controller.invite("executor", "executor")?,
        );
    executor.start()?;
    wait::until("executor connected", || stack.api.connected("executor")).await;
    Ok(executor)
}

#[tokio::test]
async fn one_start_gives_one_connected_trace() -> anyhow::Result<()> {
    let (address, mut spans) = collector()?;
    let endpoint = format!("http://{address}");
    fulcrum_e2e::program::listening(address).await;
    let stack = Stack::with(1, &[("telemetry.otlp_endpoint", &endpoint)]).await?;
    let mut executor = executor(&stack, &endpoint).await?;
    story::apply(&stack.api, &["rendered"]).await?;

    let command = Program::new("fulcrum", stack.dir(), "fulcrum")?
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env(
            "FULCRUM_CONFIG_DIR",
            stack.dir().join("contexts").to_string_lossy(),
        )
        .args([
            "--address",
            stack.controllers[0]
                .endpoint()
                .trim_start_matches("https://"),
        ])
        .args([
            "--identity",
            &stack.dir().join("operator/identity").to_string_lossy(),
        ])
        .args([
            "run",
            "start",
            "rendered",
            "--input",
            r#"{"name":"Ada"}"#,
            "--wait",
            "-o",
            "json",
        ]);
    let output = tokio::process::Command::from(command.command())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let run: Value = serde_json::from_slice(&output.stdout)?;
    let run = run["run_id"].as_str().expect("an id").to_owned();
    // What is buffered is sent at the end at the latest.
    executor.terminate().await?;

    let trace_id = stack.api.run(&run).await?.trace_id;
    assert_eq!(trace_id.len(), 32, "the run has a trace: {trace_id:?}");
    let mut traces: BTreeMap<String, Vec<Sent>> = BTreeMap::new();
    let services = ["fulcrum-cli", "fulcrum-controller", "fulcrum-executor"];
    wait::until("the trace is whole", || {
        while let Ok(sent) = spans.try_recv() {
            traces
                .entry(hex(&sent.span.trace_id))
                .or_default()
                .push(sent);
        }
        let trace = traces.get(&trace_id).map_or(&[][..], Vec::as_slice);
        std::future::ready(obstacle(trace, &services).map_or(Ok(()), Err))
    })
    .await;
    let trace = &traces[&trace_id];
    let called = trace
        .iter()
        .find(|sent| sent.service == "fulcrum-executor")
        .expect("a call");
    assert_eq!(called.span.name, "call text.render");

    let events = stack.api.events(&run).await?;
    let told: Vec<_> = events
        .iter()
        .filter(|event| !event.trace_id.is_empty())
        .collect();
    assert_eq!(events[0].trace_id, trace_id, "{:?}", events[0]);
    assert!(told.len() >= 2, "the start and the report: {events:#?}");
    assert!(
        told.iter().all(|event| event.trace_id == trace_id),
        "{told:#?}"
    );
    Ok(())
}
