//! Leaves get their places, and the head its signature, in one transaction.

use fulcrum_audit::{Head, NodeHash, Signer, Tile};
use sqlx::PgPool;

use super::log::{PLACE_MAX, Placed, bytes, spoiled, tree};
use crate::column::array::{column, long};
use crate::problem::Problem;
use crate::work::Prelude;

pub(super) async fn place(pool: &PgPool, signer: &Signer) -> Result<Placed, Problem> {
    let mut tx = Prelude::Catalog.begin(pool).await?;
    let log = sqlx::query_file!("queries/audit/lock_log.sql")
        .fetch_optional(&mut *tx)
        .await?;
    let Some(log) = log else {
        tx.rollback().await?;
        return Ok(Placed::Elsewhere);
    };
    let leaves = sqlx::query_file_scalar!("queries/audit/take_inbox.sql", PLACE_MAX)
        .fetch_all(&mut *tx)
        .await?;
    if leaves.is_empty() {
        tx.rollback().await?;
        return Ok(Placed::Nothing);
    }
    let mut tree = tree(log.size, &log.edge)?;
    // Nothing is signed that continues what was not.
    let before = Head {
        size: tree.size(),
        root: tree.root(),
    };
    let is_signed = match &log.note {
        Some(note) => signer.verifier().open(note) == Ok(before),
        None => before.size == 0,
    };
    if !is_signed {
        return Err(spoiled("it is not what was signed last"));
    }
    let filled: Vec<Tile> = leaves
        .iter()
        .flat_map(|leaf| tree.append(NodeHash::leaf(leaf)))
        .collect();
    let head = Head {
        size: tree.size(),
        root: tree.root(),
    };
    let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
    sqlx::query_file!(
        "queries/audit/place.sql",
        &column(&filled, |tile| i16::from(tile.level)),
        &column(&filled, |tile| long(tile.index)),
        &column(&filled, |tile| bytes(&tile.hashes)),
        log.size,
        i32::try_from(count).unwrap_or(i32::MAX),
        body(&leaves),
        signer.sign(&head),
        bytes(&tree.edge()),
    )
    .execute(&mut *tx)
    .await?;
    crate::work::committing(tx.commit()).await?;
    Ok(Placed::Some {
        leaves: count,
        head,
        more: i64::from(count) == PLACE_MAX,
    })
}

/// Leaves as they lie in a batch.
fn body(leaves: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(leaves.iter().map(|leaf| 4 + leaf.len()).sum());
    for leaf in leaves {
        let length = u32::try_from(leaf.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(leaf);
    }
    body
}
