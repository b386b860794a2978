//! The executor: a worker in the cloud, for work that needs no access to the founder's own systems.
//!
//! It offers `text.render`, always, and `model.chat` when its configuration names models ([`Config`]). Both are
//! ordinary capabilities; [`build`] makes them and [`run`] serves them to a controller, for the `fulcrum-executor`
//! program and for `fulcrum dev`. Endpoints, secrets and their redaction are the connector's
//! ([`fulcrum_adapters`]).

mod assemble;
pub mod chat;
mod config;
pub mod executor;
mod render;

pub use assemble::{build, build_with};
pub use config::{Config, ModelConfig};
pub use executor::run;
pub use render::{Escaping, RenderInput, RenderOutput, text_render};
