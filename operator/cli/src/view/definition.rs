//! A definition, and what is wrong with one.

use fulcrum_proto::workflow::v1::{Definition, Diagnostic, Severity};
use jiff::Timestamp;
use serde::Serialize;

use super::run::short;
use super::word::Word as _;
use crate::output::printer::{Page, Row};
use crate::output::safe_text;
use crate::output::style::{Palette, Tone};
use crate::output::table::Cell;
use crate::output::time;

/// A version of a workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefinitionView {
    /// Name of the workflow.
    pub workflow: String,
    /// Identity of the version.
    pub definition_hash: String,
    /// Whether runs started by name get it.
    pub current: bool,
    /// How many steps it has.
    pub step_count: u32,
    /// What it calls.
    pub capabilities: Vec<String>,
    /// When it was first applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// Who first applied it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Its text, where it was asked for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
}

impl From<&Definition> for DefinitionView {
    fn from(definition: &Definition) -> Self {
        Self {
            workflow: definition.workflow.clone(),
            definition_hash: definition.definition_hash.clone(),
            current: definition.current,
            step_count: definition.step_count,
            capabilities: definition.capabilities.clone(),
            created_at: time::from_proto(definition.created_at.as_ref()),
            created_by: definition.created_by.clone(),
            source: String::from_utf8_lossy(&definition.source).into_owned(),
        }
    }
}

impl Row for DefinitionView {
    const HEADER: &'static [&'static str] = &[
        "WORKFLOW", "VERSION", "STEPS", "CURRENT", "APPLIED", "CALLS",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::from(&self.workflow),
            short(&self.definition_hash).into(),
            self.step_count.to_string().into(),
            if self.current { "yes" } else { "" }.into(),
            self.created_at
                .map(time::instant)
                .unwrap_or_default()
                .into(),
            self.capabilities.join(" ").into(),
        ]
    }

    fn id(&self) -> &str {
        &self.workflow
    }
}

impl Page for DefinitionView {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("workflow", self.workflow.clone()),
            ("version", self.definition_hash.clone()),
            (
                "current",
                if self.current { "yes" } else { "no" }.to_owned(),
            ),
            ("steps", self.step_count.to_string()),
            ("calls", self.capabilities.join(" ")),
            (
                "applied",
                self.created_at.map(time::instant).unwrap_or_default(),
            ),
            ("applied by", self.created_by.clone()),
        ]
    }

    fn id(&self) -> &str {
        &self.workflow
    }
}

/// One finding about a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagnosticView {
    /// How grave.
    pub severity: &'static str,
    /// Its stable name.
    pub code: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// Line, from 1; 0 if it has none.
    pub line: u32,
    /// Column in characters, from 1; 0 if it has none.
    pub column: u32,
    /// Path in the model.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
}

impl From<&Diagnostic> for DiagnosticView {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity().word(),
            code: diagnostic.code.clone(),
            message: diagnostic.message.clone(),
            line: diagnostic.line,
            column: diagnostic.column,
            path: diagnostic.path.clone(),
        }
    }
}

impl DiagnosticView {
    /// Whether it keeps the definition from being applied.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error.word()
    }

    /// As compilers tell it: place, gravity and message; then the line with a mark under the column.
    #[must_use]
    pub fn render(&self, file: &str, source: &str, palette: Palette) -> String {
        let place = if self.line == 0 {
            file.to_owned()
        } else {
            format!("{file}:{}:{}", self.line, self.column)
        };
        let tone = if self.is_error() {
            Tone::Bad
        } else {
            Tone::Warn
        };
        let head = format!("{}[{}]", self.severity, safe_text::line(&self.code));
        let message = safe_text::block(&self.message);
        let mut out = format!(
            "{}: {}: {message}",
            safe_text::line(&place),
            palette.paint(tone, &head)
        );
        let index = usize::try_from(self.line).unwrap_or(0).checked_sub(1);
        if let Some(line) = index.and_then(|index| source.lines().nth(index)) {
            let number = self.line.to_string();
            let indent = usize::try_from(self.column.saturating_sub(1)).unwrap_or(0);
            let mark = palette.paint(tone, "^");
            let shown = safe_text::line(line);
            out.push_str(&format!(
                "\n  {number} | {shown}\n  {:width$} | {:indent$}{mark}",
                "",
                "",
                width = number.len()
            ));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_shows_its_line_and_points_at_its_column() {
        let finding = DiagnosticView {
            severity: "error",
            code: "UNKNOWN_STEP".to_owned(),
            message: "no step is called `contcat`; did you mean `contact`?".to_owned(),
            line: 3,
            column: 24,
            path: "steps[0].with.customer".to_owned(),
        };
        let source =
            "workflow: x\nsteps:\n  - { with: { customer: \"${steps.contcat.output}\" } }\n";
        insta::assert_snapshot!(finding.render("x.yaml", source, Palette::Plain));
    }
}
