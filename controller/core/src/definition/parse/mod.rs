//! From text to the model. All problems at once, each with its place.
//!
//! [`parse`] reads the form (`source`), then walks the document with one function per construct. Every function
//! reports what is wrong and goes on with what can be used, so that one slip does not hide the next. A step whose
//! kind is broken stays in the model as an empty `set`, so that references to it are not reported as unknown.

mod act;
mod block;
mod document;
mod fields;
mod kind;
mod mark;
mod pause;
mod step;
mod value;

#[cfg(test)]
pub(crate) mod tests;

/// Every kind with the keys that belong to it.
#[cfg(test)]
pub(crate) fn kind_keys() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    kind::KINDS.iter().map(|kind| (kind.name, kind.keys))
}

use crate::definition::diagnostic::Diagnostic;
use crate::definition::model::Definition;
use crate::definition::place::SourceMap;
use crate::definition::source;
use crate::limits::Limits;

/// What could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The model; to be trusted only if there are no diagnostics. Nothing if not even the outline could be read.
    pub definition: Option<Definition>,
    /// Where everything stands.
    pub source: SourceMap,
    /// What is wrong, in the order of the source.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses YAML or JSON.
#[must_use]
pub fn parse(text: &str, limits: &Limits) -> Parsed {
    // JSON may be indented with tabs, YAML may not; between JSON's tokens they mean nothing.
    let spaced;
    let text = if text.trim_start().starts_with('{') && text.contains('\t') {
        spaced = text.replace('\t', " ");
        &spaced
    } else {
        text
    };
    let (root, mut diagnostics) = source::read(text, limits);
    let mut places = std::collections::BTreeMap::new();
    let definition = root.and_then(|root| {
        root.note_places("", &mut places);
        document::definition(&root, limits, &mut diagnostics)
    });
    diagnostics.sort();
    diagnostics.dedup();
    Parsed {
        definition,
        source: SourceMap::new(text, places),
        diagnostics,
    }
}
