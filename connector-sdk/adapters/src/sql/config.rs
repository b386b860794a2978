//! The configuration of the `sql` adapter.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config::Period;

const CONNECTIONS_MAX_DEFAULT: u32 = 4;
const ROWS_MAX_DEFAULT: usize = 1_000;
/// Far longer than any workflow tries again.
const EFFECTS_KEPT_DEFAULT: Period = Period::days(90);

/// A database: exactly one of the two.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DatabaseConfig {
    /// A Postgres server.
    Postgres(PostgresConfig),
    /// An SQLite file.
    Sqlite(SqliteConfig),
}

/// A Postgres server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// A URL such as `postgres://crm@db.internal/crm?sslmode=verify-full`; with a password in it, a secret reference.
    pub url: Spanned<String>,
    /// Most connections open at once.
    #[serde(default = "connections_max_default")]
    pub connections_max: u32,
    /// Statements run once when the database is first used, such as `CREATE TABLE IF NOT EXISTS …`.
    pub setup: Option<String>,
    /// How long `fulcrum_effects` remembers a keyed write, `1d` at least: for so long a repeated call is answered and
    /// not done again. Older rows are deleted, now and then, in small batches.
    #[serde(default = "effects_kept_default")]
    pub effects_kept: Period,
}

/// An SQLite file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqliteConfig {
    /// The file.
    pub path: PathBuf,
    /// Whether a file that is not there is made.
    #[serde(default)]
    pub create: bool,
    /// Statements run once when the database is first used, such as `CREATE TABLE IF NOT EXISTS …`.
    pub setup: Option<String>,
    /// How long `fulcrum_effects` remembers a keyed write, `1d` at least: for so long a repeated call is answered and
    /// not done again. Older rows are deleted, now and then, in small batches.
    #[serde(default = "effects_kept_default")]
    pub effects_kept: Period,
}

/// One statement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// The name of the database.
    pub database: Spanned<String>,
    /// A statement that only reads. Exactly one of `read` and `write` is given.
    pub read: Option<Spanned<String>>,
    /// A statement that changes something.
    pub write: Option<Spanned<String>>,
    /// Values for parameters, strings being templates. A parameter that is not here is the member of the input of
    /// that name; `:effect_key` is the call's effect key.
    #[serde(default)]
    pub params: BTreeMap<String, Spanned<Value>>,
    /// The shape of the output; `rows` for a read and `count` for a write when absent.
    pub returns: Option<Returns>,
    /// Most rows an answer may have; more is an error, and a write is rolled back.
    #[serde(default = "rows_max_default")]
    pub rows_max: usize,
}

/// The shape of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Returns {
    /// `{ "rows": [ … ] }`.
    Rows,
    /// The only row, as an object; none is the error `SQL_ROW_MISSING`.
    Row,
    /// The only row, or null.
    OptionalRow,
    /// `{ "count": n }`, the number of rows changed.
    Count,
}

fn connections_max_default() -> u32 {
    CONNECTIONS_MAX_DEFAULT
}

fn rows_max_default() -> usize {
    ROWS_MAX_DEFAULT
}

fn effects_kept_default() -> Period {
    EFFECTS_KEPT_DEFAULT
}
