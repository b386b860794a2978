//! Configuration: embedded defaults, then a file, then `FULCRUM_A__B` from the environment, then `--set a.b=value`.
//!
//! [`default.toml`](../../src/config/default.toml) is the one source of defaults and of the reference page
//! `docs/config.md`, which a test keeps in step. An unknown key is an error that names it, wherever it comes from.
//! [`parts`] are what the rest of the program gets: each module its own typed part, never the whole.

pub mod load;
pub mod parts;
pub mod print;
pub mod reference;
pub mod validate;

pub use load::{ConfigError, Sources, load};
pub use parts::{
    Config, DatabaseConfig, DatabaseDurability, DatabaseRoute, IdentityConfig, KeySourceConfig,
    KeysConfig, LanesConfig, LeaseConfig, ListenConfig, LogFormat, LoopsConfig, RetentionConfig,
    ShutdownConfig, TelemetryConfig,
};
