//! Data on stdout.

use std::io::{self, IsTerminal as _, Write};

use serde::Serialize;

use super::format::Format;
use super::safe_text;
use super::style::Palette;
use super::table::{Cell, columns, details};
use crate::error::CliError;

/// Something that lists print one line of.
pub trait Row: Serialize {
    /// Titles of the columns.
    const HEADER: &'static [&'static str];
    /// The cells, one for each title.
    fn cells(&self) -> Vec<Cell>;
    /// What `--quiet` prints: the id or name, which other commands take.
    fn id(&self) -> &str;
}

/// Something that is shown in full.
pub trait Page: Serialize {
    /// Labels and values, in order.
    fn pairs(&self) -> Vec<(&'static str, String)>;
    /// What `--quiet` prints: the id or name, which other commands take.
    fn id(&self) -> &str;
}

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Everything.
    Full,
    /// Ids and names only.
    IdsOnly,
}

/// Prints data.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    /// The format asked for.
    pub format: Format,
    /// How much is asked for.
    pub detail: Detail,
    /// Colours on stdout.
    pub palette: Palette,
}

impl Printer {
    /// Prints one thing.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn page(&self, page: &impl Page) -> Result<(), CliError> {
        match (self.detail, self.format) {
            (Detail::IdsOnly, _) => self.line(&safe_text::line(page.id())),
            (Detail::Full, Format::Table) => self.line(&details(&page.pairs(), self.palette)),
            (Detail::Full, Format::Json | Format::Yaml) => self.document(page),
        }
    }

    /// Prints a list.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn list<T: Row>(&self, rows: &[T]) -> Result<(), CliError> {
        match (self.detail, self.format) {
            (Detail::IdsOnly, _) => rows
                .iter()
                .try_for_each(|row| self.line(&safe_text::line(row.id()))),
            // An empty table has nothing to say on stdout; the command says it on stderr.
            (Detail::Full, Format::Table) if rows.is_empty() => Ok(()),
            (Detail::Full, Format::Table) => self.line(&columns(
                T::HEADER,
                rows.iter().map(Row::cells).collect(),
                self.palette,
            )),
            (Detail::Full, Format::Json | Format::Yaml) => self.document(&rows),
        }
    }

    /// Prints one item of a stream: `text` in tables, else one JSON object on a line, or one YAML document.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn item(&self, item: &impl Serialize, text: &str) -> Result<(), CliError> {
        match self.format {
            Format::Table => self.line(text),
            Format::Json => self.line(&safe_text::json(&json_line(item)?)),
            Format::Yaml => self.line(&format!("---\n{}", self.yaml(item)?.trim_end())),
        }
    }

    /// Prints a document in JSON or YAML; in a table's place, JSON.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn document(&self, document: &impl Serialize) -> Result<(), CliError> {
        match self.format {
            Format::Table | Format::Json => {
                let text = serde_json::to_string_pretty(document)
                    .map_err(|error| unserializable(&error))?;
                self.line(&safe_text::json(&text))
            }
            Format::Yaml => self.line(self.yaml(document)?.trim_end()),
        }
    }

    /// Prints a line, or several. The text must be safe already.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn line(&self, text: &str) -> Result<(), CliError> {
        writeln!(io::stdout().lock(), "{text}").map_err(|source| CliError::Io {
            what: "cannot write to stdout".to_owned(),
            source,
        })
    }

    /// YAML has no escape that works in every kind of scalar, so that what goes to a terminal is stripped; what goes to
    /// a file or pipe is exact.
    fn yaml(&self, document: &impl Serialize) -> Result<String, CliError> {
        let text = serde_saphyr::to_string(document).map_err(|error| unserializable(&error))?;
        Ok(if io::stdout().is_terminal() {
            safe_text::block(&text)
        } else {
            text
        })
    }
}

fn json_line(item: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string(item).map_err(|error| unserializable(&error))
}

fn unserializable(error: &dyn std::error::Error) -> CliError {
    CliError::BadAnswer(error.to_string())
}
