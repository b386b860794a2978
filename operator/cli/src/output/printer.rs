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

/// A piece of a document that is printed while its list is read.
#[derive(Debug)]
pub enum Fragment<'a, T> {
    /// What comes before the list, an object, and the name of the list.
    Head(&'a T, &'static str),
    /// An item of the list, and how many came before it.
    Item(&'a T, u64),
    /// What comes after the list, an object, if anything does, and how many items there were.
    Foot(Option<T>, u64),
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

    /// Prints a piece of a document; in a table's place, JSON. All pieces together read as if they had been printed by
    /// [`document`](Self::document).
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn fragment<T: Serialize>(&self, fragment: &Fragment<'_, T>) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table | Format::Json => json_fragment(fragment)?,
            Format::Yaml => self.yaml_fragment(fragment)?,
        };
        write!(io::stdout().lock(), "{text}").map_err(unwritable)
    }

    fn yaml_fragment<T: Serialize>(&self, fragment: &Fragment<'_, T>) -> Result<String, CliError> {
        Ok(match fragment {
            Fragment::Head(head, list) => format!("{}\n{list}:", self.yaml(head)?.trim_end()),
            Fragment::Item(item, before) => {
                let line = if *before == 0 { "\n" } else { "" };
                format!("{line}{}\n", self.yaml(&[item])?.trim_end())
            }
            Fragment::Foot(foot, items) => {
                let empty = if *items == 0 { " []\n" } else { "" };
                let foot = foot.as_ref().map(|foot| self.yaml(foot)).transpose()?;
                format!("{empty}{}", foot.unwrap_or_default())
            }
        })
    }

    /// Prints a line, or several. The text must be safe already.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn line(&self, text: &str) -> Result<(), CliError> {
        writeln!(io::stdout().lock(), "{text}").map_err(unwritable)
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

fn json_fragment<T: Serialize>(fragment: &Fragment<'_, T>) -> Result<String, CliError> {
    let pretty = |value: &T| {
        let text = serde_json::to_string_pretty(value).map_err(|error| unserializable(&error))?;
        Ok::<_, CliError>(safe_text::json(&text))
    };
    Ok(match fragment {
        Fragment::Head(head, list) => {
            let head = pretty(head)?;
            let head = head.strip_suffix("\n}").unwrap_or(&head);
            format!("{head},\n  \"{list}\": [")
        }
        Fragment::Item(item, before) => {
            let comma = if *before == 0 { "" } else { "," };
            // No string of JSON holds a line break, so each one here is between tokens.
            let item = pretty(item)?.replace('\n', "\n    ");
            format!("{comma}\n    {item}")
        }
        Fragment::Foot(foot, items) => {
            let close = if *items == 0 { "]" } else { "\n  ]" };
            let rest = match foot {
                None => "\n}".to_owned(),
                Some(foot) => format!(",{}", pretty(foot)?.trim_start_matches('{')),
            };
            format!("{close}{rest}\n")
        }
    })
}

fn unwritable(source: io::Error) -> CliError {
    CliError::Io {
        what: "cannot write to stdout".to_owned(),
        source,
    }
}

fn json_line(item: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string(item).map_err(|error| unserializable(&error))
}

fn unserializable(error: &dyn std::error::Error) -> CliError {
    CliError::BadAnswer(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pieces(format: Format, items: &[serde_json::Value], foot: bool) -> String {
        let printer = Printer {
            format,
            detail: Detail::Full,
            palette: Palette::Plain,
        };
        let head = json!({ "run": { "id": "r", "empty": {} } });
        let foot = foot.then(|| json!({ "verified": { "events": 2 } }));
        let mut pieces = vec![Fragment::Head(&head, "events")];
        pieces.extend((0..).zip(items).map(|(n, item)| Fragment::Item(item, n)));
        pieces.push(Fragment::Foot(foot, items.len() as u64));
        pieces
            .iter()
            .map(|piece| match format {
                Format::Table | Format::Json => json_fragment(piece),
                Format::Yaml => printer.yaml_fragment(piece),
            })
            .collect::<Result<String, _>>()
            .expect("plain values")
    }

    #[test]
    fn the_pieces_of_a_document_are_the_document() {
        for items in [
            vec![],
            vec![json!({ "seq": 1, "s": "a\nb" }), json!({ "seq": 2 })],
        ] {
            for foot in [false, true] {
                let mut whole = json!({ "run": { "id": "r", "empty": {} }, "events": items });
                if foot {
                    whole["verified"] = json!({ "events": 2 });
                }
                let text = pieces(Format::Json, &items, foot);
                let read: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                assert_eq!(read, whole);
                let text = pieces(Format::Yaml, &items, foot);
                let read: serde_json::Value = serde_saphyr::from_str(&text).expect("YAML");
                assert_eq!(read, whole, "{text}");
            }
        }
    }
}
