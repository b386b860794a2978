//! Days long gone: copies of runs that were really run, as they would lie in the database had they been born then.
//!
//! A copy has ids of its day wherever its original had ids of its own, also inside its events, and its hashes are computed
//! anew; so its timeline verifies and its payloads are found. Ten million events take minutes that way, and hours of load.

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;

/// What the test adds to the database, beside what the product has there.
const SCHEMA: &str = include_str!("past.sql");

/// A day that was filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Which, as in `2026-01-31`.
    pub date: String,
    /// Runs born on it.
    pub runs: u64,
    /// Events on their timelines.
    pub events: u64,
    /// SHA-256 of the last hashes of all of them by run id, in hexadecimal digits.
    pub root: String,
}

/// Takes every run that is there for an original: each must be closed, and without children.
pub fn remember(postgres: &Postgres) -> anyhow::Result<()> {
    postgres.value(SCHEMA).map(drop)
}

/// Fills the day so many days ago with at least so many events, in one transaction.
pub fn fill(postgres: &Postgres, days_ago: u32, events: u64) -> anyhow::Result<Day> {
    let day = format!("(now() at time zone 'UTC')::date - {days_ago}");
    let answer = postgres.value(&format!("select chaos.fill({day}, {events})"))?;
    let mut words = answer.split(' ');
    let mut word = || words.next().context("four words");
    Ok(Day {
        date: word()?.to_owned(),
        runs: word()?.parse()?,
        events: word()?.parse()?,
        root: word()?.to_owned(),
    })
}
