//! The tick, on a connection of its own: one statement that commits by itself, many times a minute.
//!
//! Nobody looks at the connection when it comes back, which would double the transactions of an idle installation: a
//! statement that commits by itself leaves none open.

use fulcrum_core::store::{Attendance, Found, Revisions, Sought};
use fulcrum_core::time::Timestamp;
use sqlx::{PgConnection, PgPool};

use crate::column::At;
use crate::column::array::{column, long};
use crate::connect::observe;
use crate::continuity::Watermark;
use crate::problem::Problem;
use crate::versions::CONTROLLER_SILENCE_MAX;
use crate::writer::Writer;

pub(crate) async fn tick(
    pool: &PgPool,
    watermark: &Watermark,
    sought: &Sought,
) -> Result<Found, Problem> {
    let mut writer = Writer::take(pool).await?;
    let found = look(writer.connection(), watermark, sought).await?;
    writer.rest();
    Ok(found)
}

async fn look(
    connection: &mut PgConnection,
    watermark: &Watermark,
    sought: &Sought,
) -> Result<Found, Problem> {
    let row = sqlx::query_file!(
        "queries/tick.sql",
        sought.attending as _,
        long(sought.ahead.0),
        long(sought.mail_age.0),
        &column(&sought.lines, |line| line.namespace.0),
        &column(&sought.lines, |line| line.capability.clone()),
        long(CONTROLLER_SILENCE_MAX.0),
    )
    .fetch_one(&mut *connection)
    .await?;
    // As often as this controller is noted. A server that does not tell its position is not asked.
    if row.noted && watermark.is_raised() {
        observe(connection, watermark).await?;
    }
    // `with ordinality` counts from 1.
    let asked = |position: &i64| sought.lines.get(usize::try_from(position - 1).ok()?);
    Ok(Found {
        now: row.now.into(),
        task_due: row.task_due.map(Timestamp::from),
        timer_due: row.timer_due.map(Timestamp::from),
        mail_lies: row.mail_lies,
        ready: row.ready.iter().filter_map(asked).cloned().collect(),
        revisions: Revisions {
            identities: row.identities,
            catalogue: row.catalogue,
        },
        others: u32::try_from(row.others).unwrap_or(u32::MAX),
        attendance: match (sought.attending, row.attends) {
            (None, _) => Attendance::Unasked,
            (Some(_), true) => Attendance::Fresh,
            (Some(_), false) => Attendance::Overdue,
        },
    })
}
