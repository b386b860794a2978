//! The log of a stack's servers: a file, because the terminal is for the person.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;

use super::error::StackError;
use super::home::Home;

/// Variable that filters the log: `info,fulcrum_controller=debug`.
const LOG_VARIABLE: &str = "FULCRUM_LOG";
/// How many bytes of a log are shown when something fails.
const TAIL_BYTES: usize = 2048;

/// Sends everything that is logged in this process to the data directory, and says to which file.
///
/// # Errors
/// When the file cannot be opened.
pub fn to_file(home: &Home) -> Result<PathBuf, StackError> {
    let path = home.logs().join("fulcrum.log");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| StackError::file("open", &path, error))?;
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let set = tracing_subscriber::fmt()
        .with_writer(file)
        .with_ansi(false)
        .with_env_filter(filter)
        .try_init();
    // A process that logs elsewhere already, as a test may, keeps doing so.
    drop(set);
    Ok(path)
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
