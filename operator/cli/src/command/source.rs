//! Definitions as files: reading them, and showing what is wrong with them.

use std::io::Read as _;

use fulcrum_proto::workflow::v1::Diagnostic;

use crate::error::CliError;
use crate::session::Session;
use crate::view::definition::DiagnosticView;

/// A definition's text and where it came from.
#[derive(Debug)]
pub struct Source {
    /// The path as typed; `-` for stdin.
    pub file: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// Reads a file, or stdin for `-`.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub fn read(file: &str) -> Result<Self, CliError> {
        let text = if file == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map(|_| text)
        } else {
            std::fs::read_to_string(file)
        };
        let text = text.map_err(|source| CliError::file("read", file, source))?;
        Ok(Self {
            file: file.to_owned(),
            text,
        })
    }

    /// Tells findings to the person, compiler-style. True if there are errors among them.
    pub fn report(&self, session: &Session, diagnostics: &[Diagnostic]) -> Findings {
        let views: Vec<_> = diagnostics.iter().map(DiagnosticView::from).collect();
        let notice = session.notice();
        for view in &views {
            let text = view.render(&self.file, &self.text, notice.palette);
            // A wrong definition is what was asked about, so that it is told even under `--quiet`.
            if view.is_error() {
                notice.insist(&text)
            } else {
                notice.say(&text)
            }
        }
        let errors = views.iter().filter(|view| view.is_error()).count();
        Findings { views, errors }
    }
}

/// What was found in a definition.
#[derive(Debug)]
pub struct Findings {
    /// Everything, in order of the source.
    pub views: Vec<DiagnosticView>,
    /// How many keep it from being applied.
    pub errors: usize,
}

impl Findings {
    /// `2 errors, 1 warning`.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |n: usize, word: &str| match n {
            0 => None,
            1 => Some(format!("1 {word}")),
            _ => Some(format!("{n} {word}s")),
        };
        let parts = [
            count(self.errors, "error"),
            count(self.views.len() - self.errors, "warning"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}
