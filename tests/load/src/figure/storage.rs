//! `bytes_per_run_1step`: what a finished run takes on disk after vacuum, tables and indexes, with everything that is
//! kept of it.

use serde_json::{Map, Value};

use crate::load::closed::{self, Until};
use crate::load::starter::Starter;
use crate::report::file;
use crate::rig::installation::Installation;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

const RUNS: u64 = 50_000;

/// Every table with its indexes and its overflow, partitions counted as their table.
const SIZES: &str = "select regexp_replace(relname, '_p[0-9]{8}$', ''), sum(pg_total_relation_size(relid)) \
                     from pg_stat_user_tables group by 1";

/// Fills and vacuums, once for each repetition.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let installation = Installation::start(options).await?;
    let workflow = Workflow::Steps(1);
    installation.apply(workflow).await?;
    let starter = Starter::new(&installation.channels().await?, workflow);
    options.warm(&installation, &starter).await?;
    let runs = options.count(RUNS);
    for _ in 0..options.repetitions {
        let before = sizes(&installation)?;
        let outcome = closed::load(&starter, options.in_flight, Until::Runs(runs)).await?;
        let after = sizes(&installation)?;
        let mut tables = Map::new();
        let mut total = 0.0;
        for (table, bytes) in after {
            let earlier = before.iter().find(|(name, _)| *name == table);
            let each = (bytes - earlier.map_or(0.0, |(_, bytes)| *bytes)) / outcome.runs();
            total += each;
            if each >= 1.0 {
                tables.insert(table, file::round(each));
            }
        }
        record.put("bytes_per_run_1step", total);
        record.detail("bytes_per_run_1step_by_table", Value::Object(tables));
    }
    Ok(())
}

fn sizes(installation: &Installation) -> anyhow::Result<Vec<(String, f64)>> {
    installation.postgres.value("vacuum (analyze)")?;
    let text = installation.postgres.value(SIZES)?;
    let rows = text.lines().filter_map(|line| line.split_once('|'));
    rows.map(|(table, bytes)| Ok((table.to_owned(), bytes.parse()?)))
        .collect()
}
