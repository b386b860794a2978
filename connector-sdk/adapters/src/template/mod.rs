//! Templates: how a call's input becomes a path, a body, an argument or a mail.
//!
//! All of them are minijinja with fuel and strict undefined: a template can neither run away nor print a value that is
//! not there. [`TextTemplate`] makes text; [`TreeTemplate`] makes JSON, where a string that is one whole `{{ … }}`
//! becomes the value itself and keeps its type.

mod engine;
mod scope;
mod text;
mod tree;

pub use engine::{TEMPLATE_BYTES_MAX, TEMPLATE_FUEL, TemplateError};
pub use scope::{Scope, ScopeNames};
pub use text::{Escape, TextTemplate};
pub use tree::TreeTemplate;
