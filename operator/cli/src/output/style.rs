//! Colour, where it is wanted.

use clap::builder::styling::{AnsiColor, Effects, Style};

/// What a text is, rather than how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// Less important.
    Faint,
    /// Went well.
    Good,
    /// Under way or waiting.
    Busy,
    /// Deserves a look.
    Warn,
    /// Went wrong.
    Bad,
}

/// Whether tones become colours. Decided once for each stream: a terminal, no `NO_COLOR`, no `--no-color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    /// Colours.
    Colour,
    /// Plain text.
    Plain,
}

impl Palette {
    /// The text in its tone.
    #[must_use]
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let style = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Strong => Style::new().effects(Effects::BOLD),
            Tone::Faint => Style::new().effects(Effects::DIMMED),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Busy => AnsiColor::Cyan.on_default(),
            Tone::Warn => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().effects(Effects::BOLD),
        };
        match self {
            Palette::Colour => format!("{style}{text}{style:#}"),
            Palette::Plain => text.to_owned(),
        }
    }
}
