//! The configuration of the `script` adapter.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::config::Period;

const OUTPUT_BYTES_MAX_DEFAULT: usize = 1024 * 1024;
const KILL_AFTER_DEFAULT: Period = Period::seconds(2);

/// One program.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScriptConfig {
    /// The program and its arguments. The program is a path (from the configuration's directory) and not a template;
    /// every other element is a template that makes one argument.
    pub argv: Vec<Spanned<String>>,
    /// Where it runs; the configuration's directory when absent.
    pub working_directory: Option<PathBuf>,
    /// Environment variables, fixed or secret references.
    #[serde(default)]
    pub env: BTreeMap<String, Spanned<String>>,
    /// Variables taken over from the connector's own environment, if set there.
    #[serde(default)]
    pub inherit_env: Vec<String>,
    /// What is on standard output.
    #[serde(default)]
    pub stdout: StdoutFormat,
    /// Most bytes on standard output; more ends the program.
    #[serde(default = "output_bytes_max_default")]
    pub output_bytes_max: usize,
    /// What an exit status means; 0 is ok and 75 (`EX_TEMPFAIL`) transient unless said otherwise, the rest is fatal.
    #[serde(default)]
    pub exit_codes: BTreeMap<u8, ExitOutcome>,
    /// How long the program may take to end by itself after it was asked to.
    #[serde(default = "kill_after_default")]
    pub kill_after: Period,
}

/// What is on standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StdoutFormat {
    /// One JSON value, which is the output; nothing at all is null.
    #[default]
    Json,
    /// Text; the output is `{ "text": … }`.
    Text,
}

/// What an exit status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitOutcome {
    /// It worked.
    Ok,
    /// Try again later.
    Transient,
    /// Another route may work.
    Recoverable,
    /// It will not work.
    Fatal,
    /// It may or may not have worked.
    Unknown,
}

fn output_bytes_max_default() -> usize {
    OUTPUT_BYTES_MAX_DEFAULT
}

fn kill_after_default() -> Period {
    KILL_AFTER_DEFAULT
}
