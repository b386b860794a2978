//! Which builds share the database, and what they may write.
//!
//! Two things are told apart. The *schema* is brought up to date by the first build that knows more of it; it says
//! which older builds may still run on it. The *feature level* says what may be written: a new kind of event, or a new
//! use of a column, waits until a person raises the level, which is refused while a controller lives that would not
//! understand. A controller writes itself down before it does anything, in one transaction with reading the level, so
//! that it either counts or is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use fulcrum_core::store::StoreError;
use fulcrum_core::time::Millis;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::PgStore;
use crate::connect::observe;
use crate::continuity::Watermark;
use crate::migrate::known;
use crate::problem::Problem;
use crate::work::{Prelude, unit};

/// A controller that has not been seen for so long does not count any more.
pub const CONTROLLER_SILENCE_MAX: Millis = Millis::from_secs(60);

/// A feature level, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeatureLevel(pub i32);

impl FeatureLevel {
    /// The highest that this build knows. Raised with the first build that can write something its predecessor cannot
    /// read.
    pub const MAX: Self = Self::SEALED_KEYS;
    /// Private keys rest sealed.
    pub const SEALED_KEYS: Self = Self(3);
    /// What a commit adds to a timeline is one row.
    pub(crate) const BUNDLES: Self = Self(2);
    /// Payloads above the inline limit are blobs.
    pub(crate) const BLOBS: Self = Self(2);
    /// A commit leaves a leaf in the installation log.
    pub(crate) const LOG: Self = Self(3);
}

/// The schema of the first build that opens sealed keys and leaves leaves: with level 3 in force no older one may start.
const LEVEL_3_SCHEMA: i64 = 18;

/// The level that was in force when this controller last looked; the first until it does. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct LevelSeen(Arc<AtomicI32>);

impl LevelSeen {
    /// What may be written now: a level never falls.
    pub(crate) fn get(&self) -> FeatureLevel {
        FeatureLevel(self.0.load(Ordering::Relaxed))
    }

    fn note(&self, level: FeatureLevel) {
        self.0.fetch_max(level.0, Ordering::Relaxed);
    }
}

impl Default for LevelSeen {
    fn default() -> Self {
        Self(Arc::new(AtomicI32::new(1)))
    }
}

/// A controller, as others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControllerRow {
    /// Drawn at each start.
    pub id: Uuid,
    /// Its build.
    pub build: String,
    /// The highest feature level it knows.
    pub level_max: FeatureLevel,
}

/// What came of entering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// It counts; this is the level in force.
    Welcome(FeatureLevel),
    /// The level in force is above what it knows; it must not run.
    TooOld(FeatureLevel),
}

/// What came of raising the level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raised {
    /// This level is in force, from now on or already.
    InForce(FeatureLevel),
    /// This live controller does not know the level asked for.
    Unknown {
        /// The highest that all live controllers know.
        common: FeatureLevel,
        /// The build of one that knows no more.
        build: String,
    },
}

/// Versions.
#[derive(Debug, Clone)]
pub struct Versions {
    pool: PgPool,
    watermark: Watermark,
    seen: LevelSeen,
}

impl PgStore {
    /// Versions.
    #[must_use]
    pub fn versions(&self) -> Versions {
        Versions {
            pool: self.pools.control.clone(),
            watermark: self.watermark(),
            seen: self.pools.level.clone(),
        }
    }
}

impl Versions {
    /// A controller comes, or says that it is still there. Called every few seconds, at most
    /// [`CONTROLLER_SILENCE_MAX`] apart. On the way the watermark is raised to where the server stands.
    pub async fn enter(&self, controller: &ControllerRow) -> Result<Entered, StoreError> {
        let (pool, me) = (self.pool.clone(), controller.clone());
        let (watermark, seen) = (self.watermark.clone(), self.seen.clone());
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            // Before the row is written: raising the level locks in this order, too.
            let level = sqlx::query_file_scalar!("queries/versions/level_shared.sql")
                .fetch_one(&mut *tx)
                .await?;
            let level = FeatureLevel(level);
            if level > me.level_max {
                tx.rollback().await?;
                return Ok(Entered::TooOld(level));
            }
            let (id, build, level_max) = (me.id, &me.build, me.level_max.0);
            sqlx::query_file!("queries/versions/enter.sql", id, build, known(), level_max)
                .execute(&mut *tx)
                .await?;
            // A server that does not tell its position would spoil the transaction by the question.
            if watermark.is_raised() {
                observe(&mut tx, &watermark).await?;
            }
            tx.commit().await?;
            seen.note(level);
            Ok(Entered::Welcome(level))
        })
        .await
    }

    /// The level in force, for whoever has not entered.
    pub async fn in_force(&self) -> Result<FeatureLevel, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let level = sqlx::query_file_scalar!("queries/versions/level.sql")
                .fetch_one(&mut *pool.acquire().await?)
                .await?;
            Ok(FeatureLevel(level))
        })
        .await
    }

    /// The level that was in force when this controller last entered; a level never falls.
    #[must_use]
    pub fn seen(&self) -> FeatureLevel {
        self.seen.get()
    }

    /// How long before now another controller than this one was heard of. `None` if none is known of, or if the clock
    /// says that it will be: it cannot be relied on.
    pub async fn silence(&self, controller: Uuid) -> Result<Option<Millis>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let ms = sqlx::query_file_scalar!("queries/versions/silence.sql", controller)
                .fetch_one(&mut *tx)
                .await?;
            tx.rollback().await?;
            Ok(ms.and_then(|ms| u64::try_from(ms).ok()).map(Millis))
        })
        .await
    }

    /// A controller goes. Those that could not say so are forgotten after a day.
    pub async fn leave(&self, controller: Uuid) -> Result<(), StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            sqlx::query_file!("queries/versions/leave.sql", controller)
                .execute(&mut *tx)
                .await?;
            sqlx::query_file!("queries/versions/forget.sql")
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Raises the level, if every live controller knows it. A level never falls: what was written by then stays.
    pub async fn raise(&self, to: FeatureLevel) -> Result<Raised, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let mut tx = Prelude::Catalog.begin(&pool).await?;
            let level = sqlx::query_file_scalar!("queries/versions/level_locked.sql")
                .fetch_one(&mut *tx)
                .await?;
            if to.0 <= level {
                tx.rollback().await?;
                return Ok(Raised::InForce(FeatureLevel(level)));
            }
            let silence = i64::try_from(CONTROLLER_SILENCE_MAX.0).unwrap_or(i64::MAX);
            let least = sqlx::query_file!("queries/versions/common_level.sql", silence)
                .fetch_optional(&mut *tx)
                .await?;
            match least {
                Some(least) if least.level_max < to.0 => {
                    tx.rollback().await?;
                    Ok(Raised::Unknown {
                        common: FeatureLevel(least.level_max),
                        build: least.build,
                    })
                }
                _ => {
                    sqlx::query_file!(
                        "queries/versions/raise_level.sql",
                        to.0,
                        FeatureLevel::SEALED_KEYS.0,
                        LEVEL_3_SCHEMA
                    )
                    .execute(&mut *tx)
                    .await?;
                    tx.commit().await?;
                    Ok(Raised::InForce(to))
                }
            }
        })
        .await
    }
}

/// Whether the schema, newer than this build knows, says that such a build may run on it.
pub(crate) async fn admits(
    connection: &mut PgConnection,
    newest: i64,
    known: i64,
) -> Result<bool, Problem> {
    Ok(
        sqlx::query_file_scalar!("queries/versions/admits.sql", newest, known)
            .fetch_one(connection)
            .await?,
    )
}

/// Says which builds may run on this schema.
pub(crate) async fn admit_from(
    connection: &mut PgConnection,
    schema: i64,
    readable_from: i64,
) -> Result<(), Problem> {
    sqlx::query_file!(
        "queries/versions/admit_from.sql",
        schema,
        readable_from,
        FeatureLevel::SEALED_KEYS.0,
        LEVEL_3_SCHEMA
    )
    .execute(connection)
    .await?;
    Ok(())
}
