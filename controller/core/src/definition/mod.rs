//! Workflow definitions: from YAML or JSON text to an immutable, checked, content-hashed model.
//!
//! [`parse`] reads text into the [`model`] and reports every problem at once, each with line and column. [`check`]
//! verifies references, cycles, schemas and expressions. [`hash`] names the canonical model. [`plan`] flattens the
//! tree of steps into the indexed form that the run machine walks. [`schema`] publishes the JSON Schema for editors.

pub mod check;
pub mod compile;
pub mod contents;
pub mod diagnostic;
pub mod hash;
pub mod json_schema;
pub mod model;
pub mod parse;
pub mod place;
pub mod plan;
pub mod schema;
pub(crate) mod source;
pub(crate) mod walk;

pub use check::{CheckContext, Unregistered};
pub use compile::compile;
pub use contents::Contents;
pub use diagnostic::Diagnostic;
