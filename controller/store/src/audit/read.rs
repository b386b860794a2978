//! What is told to whoever checks.

use fulcrum_audit::proof::Plan;
use fulcrum_audit::{NodeHash, Tile, Tree};
use sqlx::PgPool;

use super::log::{hashes, spoiled, tree};
use crate::column::array::{column, long};
use crate::column::decode;
use crate::problem::Problem;
use crate::work::Prelude;

/// A signed head, and that it adds to an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The signed head.
    pub note: String,
    /// Leaves in the log.
    pub size: u64,
    /// The first that is still kept.
    pub first: u64,
    /// The proof (RFC 6962), or `None` if what it takes has left by retention.
    pub hashes: Option<Vec<NodeHash>>,
}

/// Leaves that got their places together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Place of the first.
    pub first: u64,
    /// The leaves.
    pub leaves: Vec<Vec<u8>>,
    /// The signed head of the log that ends with them.
    pub note: String,
}

pub(super) async fn head(pool: &PgPool, known: u64) -> Result<Option<Proof>, Problem> {
    shown(pool, |tree| Plan::consistency(tree, known)).await
}

/// The same with the edge that the log had when it had so many leaves.
pub(super) async fn edge(pool: &PgPool, at: u64) -> Result<Option<Proof>, Problem> {
    shown(pool, |tree| Plan::edge(tree, at)).await
}

async fn shown(
    pool: &PgPool,
    planned: impl FnOnce(&Tree) -> Plan,
) -> Result<Option<Proof>, Problem> {
    let mut tx = Prelude::Report.begin(pool).await?;
    let log = sqlx::query_file!("queries/audit/head.sql")
        .fetch_one(&mut *tx)
        .await?;
    let Some(note) = log.note else {
        tx.rollback().await?;
        return Ok(None);
    };
    let tree = tree(log.size, &log.edge)?;
    let plan = planned(&tree);
    let tiles = sqlx::query_file!(
        "queries/audit/tiles.sql",
        &column(&plan.tiles, |(level, _)| i16::from(*level)),
        &column(&plan.tiles, |(_, index)| long(*index)),
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.rollback().await?;
    let tiles: Vec<Tile> = tiles
        .into_iter()
        .map(|row| {
            Ok(Tile {
                level: u8::try_from(row.level).map_err(|_| spoiled("a tile has no level"))?,
                index: decode::count(row.index)?,
                hashes: hashes(&row.hashes).ok_or_else(|| spoiled("a tile is cut off"))?,
            })
        })
        .collect::<Result<_, Problem>>()?;
    Ok(Some(Proof {
        note,
        size: tree.size(),
        first: decode::count(log.first)?,
        hashes: plan.prove(&tree, &tiles).ok(),
    }))
}

pub(super) async fn batches(pool: &PgPool, from: u64, rows: u32) -> Result<Vec<Batch>, Problem> {
    let mut tx = Prelude::Report.begin(pool).await?;
    let rows = sqlx::query_file!("queries/audit/batches.sql", long(from), i64::from(rows))
        .fetch_all(&mut *tx)
        .await?;
    tx.rollback().await?;
    rows.into_iter()
        .map(|row| {
            let leaves = leaves(&row.body).ok_or_else(|| spoiled("a batch is cut off"))?;
            if i32::try_from(leaves.len()) != Ok(row.leaves) {
                return Err(spoiled("a batch has another number of leaves"));
            }
            Ok(Batch {
                first: decode::count(row.first)?,
                leaves,
                note: row.note,
            })
        })
        .collect()
}

fn leaves(mut rest: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut leaves = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (leaf, after) = after.split_at_checked(length)?;
        leaves.push(leaf.to_vec());
        rest = after;
    }
    Some(leaves)
}
