//! The Fulcrum controller: engine shell, dispatch, loops, gRPC, identity.
//!
//! The controller is ownerless: any replica serves any call, and nothing that must be right depends on who leads. This
//! crate holds everything that acts; what decides is `fulcrum-core`, what remembers is `fulcrum-store`.
//!
//! - [`server`]: connections, TLS, limits, the layer around every call; [`identity`]: who calls and what they may do.
//! - [`keys`]: the key-encryption key and what rests sealed under it.
//! - [`loops`]: maintenance, one driver; [`upkeep`]: partitions and retention; [`clock`]: the only place that reads one; [`entropy`]: where the
//!   engine's randomness comes from; [`shutdown`]: ending in order.
//! - [`config`], [`telemetry`], [`http`]: what an operator sees of the process.
//! - [`audit`]: the installation log, signed.
//! - [`engine`]: lanes, dispatch, backstops; [`notifier`]: news between controllers; [`grpc`]: the services; [`source`]: plans and contracts from the database.
//! - [`foundation`]: the database, the installation, the authority; [`app`]: all of it put together;
//!   [`bootstrap`]: the first operator.

pub mod app;
pub mod audit;
pub mod bootstrap;
pub mod clock;
pub mod config;
pub mod engine;
pub mod entropy;
pub mod foundation;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod keys;
pub mod loops;
pub mod notifier;
pub mod server;
pub mod shutdown;
pub mod sockets;
pub mod source;
pub mod telemetry;
pub mod upkeep;

/// The engine over Postgres.
pub type PgEngine = engine::handle::Engine<fulcrum_store::PgStore, source::PgSource>;
