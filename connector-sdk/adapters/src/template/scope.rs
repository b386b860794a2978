//! What a template can see.

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::engine::{TemplateError, shown};

/// The names a template may use, checked when it is parsed.
#[derive(Clone, Copy, Debug)]
pub struct ScopeNames(Option<&'static [&'static str]>);

impl ScopeNames {
    /// What every adapter's templates see: the call's input and the keys of the call.
    pub const CALL: Self = Self::only(&["input", "effect_key", "run_id", "step_key"]);

    /// Any name: what is not there is found when the template is rendered.
    pub const ANY: Self = Self(None);

    /// These names and no others.
    pub const fn only(names: &'static [&'static str]) -> Self {
        Self(Some(names))
    }

    pub(super) fn check(
        self,
        source: &str,
        used: impl IntoIterator<Item = String>,
    ) -> Result<(), TemplateError> {
        let Some(known) = self.0 else {
            return Ok(());
        };
        let mut unknown: Vec<String> = used
            .into_iter()
            .filter(|name| !known.contains(&name.as_str()) && !is_builtin(name))
            .collect();
        unknown.sort();
        match unknown.into_iter().next() {
            None => Ok(()),
            Some(name) => Err(TemplateError::UnknownName {
                shown: shown(source),
                name,
                known: known.join(", "),
            }),
        }
    }
}

/// Functions that minijinja provides; it reports them as undeclared names.
fn is_builtin(name: &str) -> bool {
    matches!(name, "range" | "dict" | "namespace" | "debug")
}

/// The values behind the names.
#[derive(Clone, Debug)]
pub struct Scope(Value);

impl Scope {
    /// A scope of the members of `values`.
    pub fn new(values: &impl Serialize) -> Self {
        Self(Value::from(Serde(values)))
    }

    pub(super) fn value(&self) -> Value {
        self.0.clone()
    }
}
