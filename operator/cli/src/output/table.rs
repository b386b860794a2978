//! Aligned columns without lines, as `kubectl` and `docker` print them: easy to read, easy to cut.

use super::safe_text;
use super::style::{Palette, Tone};

/// One cell: its text, made safe here, and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A cell with a tone.
    #[must_use]
    pub fn toned(tone: Tone, text: &str) -> Self {
        Self {
            text: safe_text::line(text),
            tone,
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::toned(Tone::Plain, text.as_ref())
    }
}

/// A table of these rows, without an end of line; the header is left out where there is none.
#[must_use]
pub fn columns(header: &[&str], rows: Vec<Vec<Cell>>, palette: Palette) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Disabled);
    if !header.is_empty() {
        table.set_header(header.iter().map(|title| (*title).to_owned()));
    }
    // Colour is put on after the layout, because escape codes have a width only in bytes.
    let tones: Vec<Vec<Tone>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| cell.tone).collect())
        .collect();
    for row in rows {
        table.add_row(row.into_iter().map(|cell| cell.text).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let widths = table.column_max_content_widths();
    let first_row = usize::from(!header.is_empty());
    let lines = table
        .lines()
        .enumerate()
        .map(|(index, line)| match index.checked_sub(first_row) {
            None => palette.paint(Tone::Strong, line.trim_end()),
            Some(row) => paint_cells(line.trim_end(), &widths, &tones[row], palette),
        });
    lines.collect::<Vec<_>>().join("\n")
}

/// Puts the tones of one row on its line. Widths count columns of the terminal, so that only a line of single-width
/// characters is cut into cells; any other line stays plain.
fn paint_cells(line: &str, widths: &[u16], tones: &[Tone], palette: Palette) -> String {
    if palette == Palette::Plain || !line.is_ascii() {
        return line.to_owned();
    }
    let mut rest = line;
    let mut out = String::new();
    for (width, tone) in widths.iter().zip(tones) {
        let (cell, after) = rest.split_at((usize::from(*width) + 2).min(rest.len()));
        let text = cell.trim_end();
        out.push_str(&palette.paint(*tone, text));
        out.push_str(&cell[text.len()..]);
        rest = after;
    }
    out + rest
}

/// Label and value, one pair a line, for one thing in full. Values of several lines are indented under their label.
#[must_use]
pub fn details(pairs: &[(&str, String)], palette: Palette) -> String {
    let width = pairs
        .iter()
        .map(|(label, _)| label.len())
        .max()
        .unwrap_or(0)
        + 2;
    let mut lines = Vec::new();
    for (label, value) in pairs {
        let value = safe_text::block(value);
        let label = format!("{label}:");
        let head = palette.paint(Tone::Faint, &format!("{label:width$}"));
        if value.contains('\n') {
            lines.push(palette.paint(Tone::Faint, &label));
            lines.extend(value.lines().map(|line| format!("  {line}")));
        } else {
            lines.push(format!("{head}{value}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<Cell>> {
        vec![
            vec![
                "run_1".into(),
                Cell::toned(Tone::Good, "completed"),
                "Zoë".into(),
            ],
            vec![
                "run_22".into(),
                Cell::toned(Tone::Bad, "failed"),
                "日本\u{1b}[31m".into(),
            ],
        ]
    }

    #[test]
    fn columns_are_aligned_and_bare() {
        insta::assert_snapshot!(columns(&["ID", "STATUS", "WHO"], rows(), Palette::Plain));
    }

    #[test]
    fn a_long_cell_is_never_broken() {
        let long = "x".repeat(300);
        assert_eq!(
            columns(&[], vec![vec![Cell::from(&long)]], Palette::Plain),
            long
        );
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let ascii = vec![
            vec![
                "run_1".into(),
                Cell::toned(Tone::Good, "completed"),
                "a".into(),
            ],
            vec![
                "run_22".into(),
                Cell::toned(Tone::Bad, "failed"),
                "b".into(),
            ],
        ];
        let plain = columns(&["ID", "STATUS", "WHO"], ascii.clone(), Palette::Plain);
        let coloured = columns(&["ID", "STATUS", "WHO"], ascii, Palette::Colour);
        assert_ne!(plain, coloured);
        assert_eq!(crate::output::safe_text::block(&coloured), plain);
    }

    #[test]
    fn a_value_of_several_lines_stands_under_its_label() {
        let pairs = [
            ("run", "run_1".to_owned()),
            ("output", "{\n  \"a\": 1\n}".to_owned()),
        ];
        insta::assert_snapshot!(details(&pairs, Palette::Plain));
    }
}
