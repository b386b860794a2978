//! How things are shown: data on stdout, everything else on stderr.
//!
//! - [`printer`]: data, as a table, JSON or YAML; [`notice`]: words to the person on stderr.
//! - [`table`]: aligned columns; [`style`]: colour, where it is wanted; [`time`]: instants and spans for people.
//! - [`safe_text`]: the only way for text from outside to reach a terminal.
//! - [`progress`]: bars on long waits, when stderr is a terminal.

pub mod format;
pub mod notice;
pub mod printer;
pub mod progress;
pub mod safe_text;
pub mod style;
pub mod table;
pub mod time;

pub use format::Format;
pub use notice::Notice;
pub use printer::Printer;
