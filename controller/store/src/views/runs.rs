//! Runs.

use fulcrum_core::ids::{NamespaceId, RunId};
use fulcrum_core::store::{RunHead, RunStatus, StoreError};
use fulcrum_core::time::{Millis, Timestamp};
use sqlx::PgPool;
use uuid::Uuid;

use crate::PgStore;
use crate::catalog::Page;
use crate::column::array::long;
use crate::column::{At, RunStatusColumn};
use crate::load::HeadRow;
use crate::work::{Prelude, unit};

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this namespace.
    pub namespace: NamespaceId,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// In one of these states; in any when empty.
    pub statuses: Vec<RunStatus>,
    /// Where in the tree.
    pub family: Family,
    /// Born at or after this.
    pub since: Option<Timestamp>,
}

/// Where in the tree of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Runs that no run started.
    Roots,
    /// Runs at any depth.
    All,
    /// A root run and everything under it.
    Of(RunId),
    /// The direct children of a run.
    ChildrenOf(RunId),
}

/// Asks for runs of which a step waits for a worker that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalled {
    /// A worker that was not seen for so long does not count as connected.
    pub silence: Millis,
}

impl RunFilter {
    /// All root runs of a namespace.
    #[must_use]
    pub const fn roots(namespace: NamespaceId) -> Self {
        Self {
            namespace,
            workflow: None,
            statuses: Vec::new(),
            family: Family::Roots,
            since: None,
        }
    }

    fn parent(&self) -> Option<Uuid> {
        match self.family {
            Family::ChildrenOf(run) => Some(run.0),
            Family::Roots | Family::All | Family::Of(_) => None,
        }
    }

    fn statuses(&self) -> Vec<RunStatusColumn> {
        let statuses = self.statuses.iter().copied();
        statuses.map(RunStatusColumn::from).collect()
    }

    /// Bounds of the ids that can fit. A family shares time and shard, which are the upper 64 bits.
    fn span(&self) -> (Uuid, Uuid) {
        let (mut low, mut high) = (0, u128::MAX);
        if let Family::Of(run) | Family::ChildrenOf(run) = self.family {
            low = run.0.as_u128() & !u128::from(u64::MAX);
            high = low | u128::from(u64::MAX);
        }
        let since = self
            .since
            .map_or(0, |since| u128::from(since.as_millis()) << 80);
        (Uuid::from_u128(low.max(since)), Uuid::from_u128(high))
    }
}

/// Runs.
#[derive(Debug, Clone)]
pub struct Runs {
    pool: PgPool,
}

impl PgStore {
    /// Runs.
    #[must_use]
    pub fn runs(&self) -> Runs {
        Runs {
            pool: self.pools.report.clone(),
        }
    }
}

impl Runs {
    /// Those that are stalled now, newest first. With [`Family::Roots`] a root run counts for itself, and not for what is
    /// under it.
    pub async fn list_stalled(
        &self,
        filter: RunFilter,
        stalled: Stalled,
        page: Page<RunId>,
    ) -> Result<Vec<RunHead>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let (low, high) = filter.span();
            let statuses = filter.statuses();
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file_as!(
                HeadRow,
                "queries/views/list_stalled.sql",
                filter.namespace.0,
                long(stalled.silence.0),
                low,
                high,
                page.after.map(|run| run.0) as _,
                filter.workflow.as_deref() as _,
                &statuses as _,
                filter.parent() as _,
                filter.family == Family::Roots,
                i64::from(page.rows)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            rows.into_iter().map(RunHead::try_from).collect()
        })
        .await
    }

    /// Newest first.
    pub async fn list(
        &self,
        filter: RunFilter,
        page: Page<RunId>,
    ) -> Result<Vec<RunHead>, StoreError> {
        let pool = self.pool.clone();
        unit(async move {
            let (low, high) = filter.span();
            let (parent, statuses) = (filter.parent(), filter.statuses());
            let mut tx = Prelude::Report.begin(&pool).await?;
            let rows = sqlx::query_file_as!(
                HeadRow,
                "queries/views/list_runs.sql",
                filter.namespace.0,
                low,
                high,
                page.after.map(|run| run.0) as _,
                filter.workflow as _,
                &statuses as _,
                parent as _,
                filter.family == Family::Roots,
                i64::from(page.rows)
            )
            .fetch_all(&mut *tx)
            .await?;
            tx.rollback().await?;
            rows.into_iter().map(RunHead::try_from).collect()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulcrum_core::ids::Shard;

    #[test]
    fn the_span_of_a_family_holds_its_children() {
        let root = RunId::new(Timestamp::from_millis(1_700_000_000_000), Shard(7), 42);
        let mut filter = RunFilter::roots(NamespaceId(Uuid::nil()));
        filter.family = Family::Of(root);
        let (low, high) = filter.span();
        for index in 0..100 {
            let child = RunId::child(root, "items~1", index).0;
            assert!(low <= child && child <= high);
        }
        let stranger = RunId::new(Timestamp::from_millis(1_700_000_000_000), Shard(8), 42).0;
        assert!(stranger < low || high < stranger);
    }

    #[test]
    fn the_span_since_an_instant_begins_with_it() {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let filter = RunFilter {
            since: Some(at),
            ..RunFilter::roots(NamespaceId(Uuid::nil()))
        };
        let (low, _) = filter.span();
        assert!(low <= RunId::new(at, Shard(0), 0).0);
        assert!(
            low > RunId::new(
                Timestamp::from_millis(1_699_999_999_999),
                Shard(4095),
                u64::MAX
            )
            .0
        );
    }
}
