//! The state of the database, for whoever looks after it. Cheap enough to ask at any time; every part is bounded.

use fulcrum_core::store::StoreError;
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::{PgPool, Postgres, Transaction};
use uuid::Uuid;

use crate::PgStore;
use crate::column::At;
use crate::problem::Problem;
use crate::upkeep::Alarm;
use crate::upkeep::alarm::AlarmKindColumn;
use crate::versions::{CONTROLLER_SILENCE_MAX, FeatureLevel};
use crate::work::{Prelude, unit};

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// The server and its settings.
    pub server: ServerState,
    /// What waits.
    pub queue: QueueState,
    /// What keeps dead rows from being removed, longest first.
    pub xmin: Option<XminHolder>,
    /// Hot tables by name.
    pub tables: Vec<TableState>,
    /// Partitions.
    pub days: DayState,
    /// Schema and feature level.
    pub versions: VersionState,
    /// Controllers, those seen last first.
    pub controllers: Vec<ControllerState>,
    /// Workers.
    pub workers: WorkerCount,
    /// Alarms of the last seven days, newest first, at most five.
    pub alarms: Vec<Alarm>,
    /// This controller's pools.
    pub pools: [PoolState; 4],
}

/// The server and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the settings")]
pub struct ServerState {
    pub version: String,
    pub fsync: bool,
    pub synchronous_commit: bool,
    pub full_page_writes: bool,
    pub autovacuum: bool,
    pub connections: u32,
    pub connections_max: u32,
    /// The database's clock.
    pub now: Timestamp,
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueState {
    /// Tasks that could be leased now; counted to 100,001.
    pub ready: u64,
    /// How long the oldest of them has waited.
    pub oldest_ready: Option<Millis>,
    /// Leased tasks.
    pub leased: u64,
    /// Leased tasks a minute past their time that nobody has reaped.
    pub overdue: u64,
    /// Timers a minute late.
    pub timers_late: u64,
    /// Mail a minute old.
    pub mail_late: u64,
}

/// What keeps dead rows from being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XminHolder {
    /// Who, in words.
    pub holder: String,
    /// Transactions since.
    pub age: i64,
    /// For how long, where that is known.
    pub held: Option<Millis>,
}

/// A hot table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableState {
    /// Its name.
    pub name: String,
    /// With indexes and large values.
    pub bytes: u64,
    /// Rows, as estimated by the server.
    pub live: u64,
    /// Dead rows that wait for vacuum, as estimated by the server.
    pub dead: u64,
}

/// Partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayState {
    /// Days from today on without a gap.
    pub runway: u32,
    /// Days before today.
    pub past: u32,
    /// Tables on their way out.
    pub half_gone: u32,
    /// Age of the oldest day.
    pub oldest_age_days: u32,
}

/// Schema and feature level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionState {
    /// In force.
    pub level: FeatureLevel,
    /// Of the database.
    pub schema: i64,
    /// The oldest build that may run on it, by its schema.
    pub readable_from: i64,
}

/// A controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerState {
    /// Drawn at each start.
    pub id: Uuid,
    /// Its build.
    pub build: String,
    /// The newest schema it knows.
    pub schema: i64,
    /// The highest feature level it knows.
    pub level_max: FeatureLevel,
    /// Since it was last seen.
    pub silent: Millis,
}

impl ControllerState {
    /// Whether it counts when the feature level is raised.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.silent.0 < CONTROLLER_SILENCE_MAX.0
    }
}

/// Workers of all namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerCount {
    /// Registered, and not revoked.
    pub registered: u64,
    /// Seen lately.
    pub alive: u64,
}

/// One of this controller's pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolState {
    /// `control`, `request` or `report`.
    pub name: &'static str,
    /// Connections that are open.
    pub open: u32,
    /// Of these, waiting for work.
    pub idle: u32,
    /// The most it may open.
    pub max: u32,
}

impl PgStore {
    /// Examines the database. A worker counts as alive if it was seen within `silence_max`.
    pub async fn examine(&self, silence_max: Millis) -> Result<Examination, StoreError> {
        let pool = self.pools.report.clone();
        let state = |name, pool: &PgPool| PoolState {
            name,
            open: pool.size(),
            idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
            max: pool.options().get_max_connections(),
        };
        let (open, idle) = self.pools.commit.counts();
        let commit = PoolState {
            name: "commit",
            open,
            idle: u32::try_from(idle).unwrap_or(u32::MAX),
            max: self.pools.commit.max(),
        };
        let pools = [
            state("control", &self.pools.control),
            commit,
            state("request", &self.pools.request),
            state("report", &self.pools.report),
        ];
        unit(async move {
            let mut tx = Prelude::Report.begin(&pool).await?;
            let found = Examination {
                server: server(&mut tx).await?,
                queue: queue(&mut tx).await?,
                xmin: xmin(&mut tx).await?,
                tables: tables(&mut tx).await?,
                days: days(&mut tx).await?,
                versions: versions(&mut tx).await?,
                controllers: controllers(&mut tx).await?,
                workers: workers(&mut tx, silence_max).await?,
                alarms: alarms(&mut tx).await?,
                pools,
            };
            tx.commit().await?;
            Ok(found)
        })
        .await
    }
}

type Tx = Transaction<'static, Postgres>;

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

async fn server(tx: &mut Tx) -> Result<ServerState, Problem> {
    let row = sqlx::query_file!("queries/examine/server.sql")
        .fetch_one(&mut **tx)
        .await?;
    Ok(ServerState {
        version: row.version,
        fsync: row.fsync,
        synchronous_commit: row.synchronous_commit,
        full_page_writes: row.full_page_writes,
        autovacuum: row.autovacuum,
        connections: small(row.connections),
        connections_max: small(row.connections_max.into()),
        now: row.now.into(),
    })
}

async fn queue(tx: &mut Tx) -> Result<QueueState, Problem> {
    let row = sqlx::query_file!("queries/examine/queue.sql")
        .fetch_one(&mut **tx)
        .await?;
    Ok(QueueState {
        ready: count(row.ready),
        oldest_ready: row.oldest_ready_ms.map(|ms| Millis(count(ms))),
        leased: count(row.leased),
        overdue: count(row.overdue),
        timers_late: count(row.timers_late),
        mail_late: count(row.mail_late),
    })
}

async fn xmin(tx: &mut Tx) -> Result<Option<XminHolder>, Problem> {
    let row = sqlx::query_file!("queries/examine/xmin.sql")
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.map(|row| XminHolder {
        holder: row.holder,
        age: row.age,
        held: row.held_ms.map(|ms| Millis(count(ms))),
    }))
}

async fn tables(tx: &mut Tx) -> Result<Vec<TableState>, Problem> {
    let rows = sqlx::query_file!("queries/examine/tables.sql")
        .fetch_all(&mut **tx)
        .await?;
    let table = rows.into_iter().map(|row| TableState {
        name: row.name,
        bytes: count(row.bytes),
        live: count(row.live),
        dead: count(row.dead),
    });
    Ok(table.collect())
}

async fn days(tx: &mut Tx) -> Result<DayState, Problem> {
    let runway = sqlx::query_file_scalar!("queries/upkeep/runway.sql")
        .fetch_one(&mut **tx)
        .await?;
    let row = sqlx::query_file!("queries/examine/days.sql")
        .fetch_one(&mut **tx)
        .await?;
    Ok(DayState {
        runway: small(runway),
        past: small(row.past),
        half_gone: small(row.half_gone),
        oldest_age_days: small(row.oldest_age_days.unwrap_or(0).into()),
    })
}

async fn versions(tx: &mut Tx) -> Result<VersionState, Problem> {
    let row = sqlx::query_file!("queries/examine/versions.sql")
        .fetch_one(&mut **tx)
        .await?;
    Ok(VersionState {
        level: FeatureLevel(row.level),
        schema: row.schema.unwrap_or(0),
        readable_from: row.readable_from.unwrap_or(0),
    })
}

async fn controllers(tx: &mut Tx) -> Result<Vec<ControllerState>, Problem> {
    let rows = sqlx::query_file!("queries/examine/controllers.sql")
        .fetch_all(&mut **tx)
        .await?;
    let controller = rows.into_iter().map(|row| ControllerState {
        id: row.id,
        build: row.build,
        schema: row.schema,
        level_max: FeatureLevel(row.level_max),
        silent: Millis(count(row.silent_ms)),
    });
    Ok(controller.collect())
}

async fn workers(tx: &mut Tx, silence_max: Millis) -> Result<WorkerCount, Problem> {
    let silence = i64::try_from(silence_max.0).unwrap_or(i64::MAX);
    let row = sqlx::query_file!("queries/examine/workers.sql", silence)
        .fetch_one(&mut **tx)
        .await?;
    Ok(WorkerCount {
        registered: count(row.registered),
        alive: count(row.alive),
    })
}

async fn alarms(tx: &mut Tx) -> Result<Vec<Alarm>, Problem> {
    let rows = sqlx::query_file!("queries/examine/alarms.sql")
        .fetch_all(&mut **tx)
        .await?;
    let alarm = rows.into_iter().map(|row| Alarm {
        at: row.at.into(),
        kind: row.kind.into(),
        detail: row.detail,
    });
    Ok(alarm.collect())
}
