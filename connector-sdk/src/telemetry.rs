//! Logs to standard error, traces to an OTLP endpoint: what every program on the worker's or operator's side
//! sets up first.

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// Variable that filters the log, in the syntax of `tracing_subscriber::EnvFilter`: `info,fulcrum_sdk=debug`.
pub const LOG_VARIABLE: &str = "FULCRUM_LOG";

const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The OTLP endpoint cannot be used.
    #[error("cannot export traces to {endpoint:?}: {detail}; it must read http://host:port")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
        /// What is wrong with it.
        detail: String,
    },
    /// This process has a subscriber already.
    #[error("logging is set up already in this process")]
    AlreadySet,
}

/// Keeps telemetry going; dropping it sends what is left, for at most 3 s. Drop it on a thread that may block.
#[must_use = "telemetry ends when this is dropped"]
pub struct TelemetryGuard {
    traces: Option<SdkTracerProvider>,
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            // There is nobody left to tell if the last spans cannot be sent.
            let _ = traces.shutdown_with_timeout(FLUSH_TIMEOUT);
        }
    }
}

/// Sets up logs on standard error, filtered by [`LOG_VARIABLE`] (`info` by default), and, if `otlp_endpoint`
/// (`http://host:port`) is given, traces over OTLP/gRPC under `service_name`. To be called once, within a tokio
/// runtime.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(
    service_name: &str,
    otlp_endpoint: Option<&str>,
) -> Result<TelemetryGuard, TelemetryError> {
    init_to(std::io::stderr, "info", service_name, otlp_endpoint)
}

/// As [`init`], for programs whose standard error is for people: logs go to `log`, filtered by `filter` unless
/// [`LOG_VARIABLE`] is set.
///
/// # Errors
/// [`TelemetryError`].
pub fn init_to(
    log: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    filter: &str,
    service_name: &str,
    otlp_endpoint: Option<&str>,
) -> Result<TelemetryGuard, TelemetryError> {
    let traces = otlp_endpoint
        .map(|endpoint| tracer_provider(service_name, endpoint))
        .transpose()?;
    let trace_layer = traces.as_ref().map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer("fulcrum"))
            .with_filter(traced_targets())
    });
    let log_filter =
        EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(filter));
    let log_layer = tracing_subscriber::fmt::layer()
        .with_writer(log)
        // Escapes belong on a terminal; in a file or a journal they are noise.
        .with_ansi(std::io::stderr().is_terminal())
        .with_filter(log_filter);
    tracing_subscriber::registry()
        .with(trace_layer)
        .with(log_layer)
        .try_init()
        .map_err(|_| TelemetryError::AlreadySet)?;
    Ok(TelemetryGuard { traces })
}

/// What is traced, whatever is logged: everything but the transport, which would trace its own exports.
fn traced_targets() -> Targets {
    let transport = [
        "h2",
        "hyper",
        "hyper_util",
        "tonic",
        "tower",
        "rustls",
        "opentelemetry",
    ];
    Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets(transport.map(|target| (target, LevelFilter::OFF)))
}

fn tracer_provider(
    service_name: &str,
    endpoint: &str,
) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|error| TelemetryError::Endpoint {
            endpoint: endpoint.to_owned(),
            detail: error.to_string(),
        })?;
    let resource = Resource::builder()
        .with_service_name(service_name.to_owned())
        .build();
    Ok(SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(exporter)
        .build())
}
