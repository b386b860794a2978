//! The formats data can be printed in.

use clap::ValueEnum;

/// How data is printed. JSON and YAML have stable field names; tables are for people and may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// One JSON document; streams print one object per line.
    Json,
    /// One YAML document; streams print one document per item.
    Yaml,
}
