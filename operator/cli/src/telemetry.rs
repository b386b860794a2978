//! Traces of this program, where they are asked for: `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317`. A trace begins
//! with the command and goes on through the controller to the workers. Logs are off unless `FULCRUM_LOG` says otherwise.

use std::sync::Arc;

use fulcrum_sdk::telemetry::{self, LOG_VARIABLE, TelemetryGuard};

use crate::error::CliError;

const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const SERVICE: &str = "fulcrum-cli";

/// Where traces are sent, if anywhere.
fn endpoint() -> Option<String> {
    std::env::var(ENDPOINT_VARIABLE)
        .ok()
        .filter(|endpoint| !endpoint.is_empty())
}

/// Sets up telemetry of a command, if anybody asked for traces or logs. Within a runtime.
///
/// # Errors
/// When the endpoint cannot be used.
pub fn of_command() -> Result<Option<TelemetryGuard>, CliError> {
    let endpoint = endpoint();
    if endpoint.is_none() && std::env::var_os(LOG_VARIABLE).is_none() {
        return Ok(None);
    }
    telemetry::init_to(std::io::stderr, "off", SERVICE, endpoint.as_deref())
        .map(Some)
        .map_err(refused)
}

/// Sets up telemetry of servers in this process: logs to a file. Within a runtime.
///
/// # Errors
/// When the endpoint cannot be used.
pub fn of_servers(log: std::fs::File) -> Result<Option<TelemetryGuard>, CliError> {
    match telemetry::init_to(Arc::new(log), "info", "fulcrum-dev", endpoint().as_deref()) {
        Ok(guard) => Ok(Some(guard)),
        // A process that logs elsewhere already, as a test may, keeps doing so.
        Err(telemetry::TelemetryError::AlreadySet) => Ok(None),
        Err(error) => Err(refused(error)),
    }
}

fn refused(error: telemetry::TelemetryError) -> CliError {
    CliError::usage(
        error.to_string(),
        format!("correct or unset {ENDPOINT_VARIABLE}"),
    )
}
