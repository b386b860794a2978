//! What the database counts: transactions, log bytes, rows.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use fulcrum_e2e::postgres::Postgres;

/// Backends hand in what they counted when they have been idle for ten seconds.
pub(crate) const SETTLING: Duration = Duration::from_millis(11_500);

/// One reading. Rows are named `runs.inserted`, `runs.updated`, `runs.updated_in_place`, `runs.deleted`; partitions
/// count as their table.
#[derive(Clone)]
pub(crate) struct Counters(BTreeMap<String, f64>);

impl Counters {
    /// Reads them.
    pub(crate) fn read(postgres: &Postgres) -> anyhow::Result<Self> {
        let mut counted = BTreeMap::new();
        let rows = postgres.value(
            "select regexp_replace(relname, '_p[0-9]{8}$', ''), sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_hot_upd), \
             sum(n_tup_del) from pg_stat_user_tables group by 1",
        )?;
        for line in rows.lines() {
            let (table, counts) = line.split_once('|').context("a table without counts")?;
            let kinds = ["inserted", "updated", "updated_in_place", "deleted"];
            for (kind, count) in kinds.iter().zip(counts.split('|')) {
                counted.insert(format!("{table}.{kind}"), count.parse()?);
            }
        }
        let rest = postgres.value(
            "select xact_commit, xact_rollback, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'), wal_records, wal_fpi, \
             wal_sync from pg_stat_database, pg_stat_wal where datname = current_database()",
        )?;
        let names = [
            "commits",
            "rollbacks",
            "wal_bytes",
            "wal_records",
            "wal_full_pages",
            "wal_syncs",
        ];
        for (name, count) in names.iter().zip(rest.split('|')) {
            counted.insert((*name).to_owned(), count.parse()?);
        }
        Ok(Self(counted))
    }

    /// What came since an earlier reading, for each of `runs`; what did not move is left out.
    pub(crate) fn since(&self, earlier: &Self, runs: f64) -> BTreeMap<String, f64> {
        let moved = self.0.iter().map(|(name, now)| {
            let before = earlier.0.get(name).copied().unwrap_or(0.0);
            (name.clone(), (now - before) / runs)
        });
        moved.filter(|(_, each)| *each > 0.0).collect()
    }
}

/// Transactions that the database of the installation has committed, read from another database so that the look
/// itself does not count.
pub(crate) fn commits(postgres: &Postgres) -> anyhow::Result<f64> {
    let sql = "select xact_commit from pg_stat_database where datname = 'fulcrum'";
    let text = postgres.client("psql", &["-XAtq", "-d", "postgres", "-c", sql])?;
    Ok(text.trim().parse()?)
}
