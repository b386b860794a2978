//! Fulcrum's adapters: what a connector can do without anyone writing code.
//!
//! One YAML file names capabilities and says for each which adapter keeps it: [`http`] requests, [`sql`] statements,
//! [`script`]s, [`mail`], [`files`]. [`Config::load`] reads the file, [`build`] makes capabilities of it and reports
//! everything that is wrong with its line and column, and [`run`] serves them to a controller: the `fulcrum-connector` program is
//! little more than that call, and `fulcrum dev` makes the same one.
//!
//! Three rules hold for every adapter. Secrets are referred to by name, resolved here and nowhere else, and redacted
//! from whatever leaves ([`secret`]). Input becomes a request by templates that cannot run away, print what is not
//! there, or change the structure they are put into ([`template`]). And a failure says whether something may have
//! happened: a lost reply is retried only where that is harmless ([`operation`]).

mod assemble;
pub mod config;
pub mod connector;
pub mod files;
pub mod http;
pub mod mail;
pub mod operation;
pub mod program;
pub mod script;
pub mod secret;
pub mod sql;
pub mod template;
pub mod worker;

pub use assemble::{Built, build, build_with};
pub use config::{Config, ConfigError};
pub use connector::run;
