//! The connector's configuration: one YAML file.
//!
//! [`Config`] is the file as written, unknown keys refused. [`crate::build`] turns it into capabilities and reports
//! everything that is wrong with it at once, each problem with its line and column. [`read`] and [`Problems`] serve other
//! programs' files too.

mod capability;
mod file;
mod parse;
mod period;
mod problem;

pub use capability::{AdapterConfig, CapabilityConfig, EffectName, IdempotencyName};
pub use file::{Config, SecretsConfig};
pub use parse::{CONFIG_BYTES_MAX, directory_of, parse, read};
pub use period::Period;
pub use problem::{ConfigError, Place, Problem, Problems};
