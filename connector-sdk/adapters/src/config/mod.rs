//! The connector's configuration: one YAML file.
//!
//! [`Config`] is the file as written, unknown keys refused. [`crate::build`] turns it into capabilities and reports
//! everything that is wrong with it at once, each problem with its line and column.

mod capability;
mod file;
mod period;
mod problem;

pub use capability::{AdapterConfig, CapabilityConfig, EffectName, IdempotencyName};
pub use file::{CONFIG_BYTES_MAX, Config, SecretsConfig};
pub use period::Period;
pub use problem::{ConfigError, Place, Problem, Problems};
