//! The log of a stack's servers: a file, because the terminal is for the person.

use std::fs::OpenOptions;
use std::path::Path;

use fulcrum_sdk::telemetry::TelemetryGuard;

use super::error::StackError;
use super::home::Home;
use crate::telemetry;

/// How many bytes of a log are shown when something fails.
const TAIL_BYTES: usize = 2048;

/// Sends everything that is logged in this process to the data directory.
///
/// # Errors
/// When the file cannot be opened, or traces cannot be sent where the environment says.
pub fn to_file(home: &Home) -> Result<Option<TelemetryGuard>, StackError> {
    let path = home.logs().join("fulcrum.log");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| StackError::file("open", &path, error))?;
    telemetry::of_servers(file).map_err(|error| StackError::call("has no log", &error))
}

/// The end of a log.
#[must_use]
pub fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    let text = String::from_utf8_lossy(&bytes[start..]).into_owned();
    let from = if start == 0 {
        0
    } else {
        text.find('\n').map_or(0, |end| end + 1)
    };
    text[from..].trim_end().to_owned()
}
