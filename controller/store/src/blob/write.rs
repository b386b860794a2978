//! Writing blobs ahead of the commit that refers to them.

use std::collections::BTreeMap;

use fulcrum_core::ids::PayloadId;
use fulcrum_core::payload::NewPayload;
use fulcrum_core::store::Commit;
use sqlx::PgPool;

use super::objects::{Objects, away};
use super::{Blobs, Inline};
use crate::column::array::{column, shard};
use crate::problem::Problem;
use crate::versions::FeatureLevel;
use crate::work::Prelude;

/// Bytes in one statement, unless a single blob has more.
const STATEMENT_BYTES_MAX: usize = 8 << 20;

/// Writes the blobs of a batch, whatever becomes of its commits.
pub(crate) async fn ahead_of(
    pool: &PgPool,
    blobs: &Blobs,
    inline: Inline,
    batch: &[Commit],
) -> Result<(), Problem> {
    // In order: no two flushes wait for each other in a circle.
    let large: BTreeMap<PayloadId, &NewPayload> = batch
        .iter()
        .flat_map(|commit| &commit.payloads)
        .filter(|new| !inline.holds(&new.reference))
        .map(|new| (new.reference.id, new))
        .collect();
    if large.is_empty() {
        return Ok(());
    }
    let large: Vec<&NewPayload> = large.into_values().collect();
    let placed = match &blobs.objects {
        None => large
            .iter()
            .map(|new| Placed { new, object: None })
            .collect(),
        Some(objects) => elsewhere(pool, objects, &large, batch).await?,
    };
    for portion in portions(&placed) {
        put(pool, portion).await?;
    }
    Ok(())
}

/// Writes one blob that no commit refers to yet. While a build may be here that knows of no blobs, it stays out of object
/// storage: such a build drops days without their objects.
pub(crate) async fn by_itself(
    pool: &PgPool,
    blobs: &Blobs,
    level: FeatureLevel,
    new: &NewPayload,
) -> Result<(), Problem> {
    let mut object = None;
    if let Some(objects) = blobs
        .objects
        .as_ref()
        .filter(|_| level >= FeatureLevel::BLOBS)
    {
        let put = objects.put(pool, &[new]).await?.remove(&new.reference.id);
        object = put
            .transpose()
            .map_err(|problem| away(Vec::new(), &problem))?;
    }
    put(pool, &[Placed { new, object }]).await
}

/// A blob, and where in object storage it is by now.
struct Placed<'p> {
    new: &'p NewPayload,
    object: Option<String>,
}

impl Placed<'_> {
    /// What its row holds of it.
    fn data(&self) -> Option<&[u8]> {
        self.object
            .is_none()
            .then_some(self.new.payload.data.as_slice())
    }

    fn bytes(&self) -> usize {
        self.data().map_or(0, <[u8]>::len)
    }
}

/// Puts blobs into object storage. Whatever is not there belongs to runs that cannot be committed now; the others can.
async fn elsewhere<'p>(
    pool: &PgPool,
    objects: &Objects,
    large: &[&'p NewPayload],
    batch: &[Commit],
) -> Result<Vec<Placed<'p>>, Problem> {
    let mut put = objects.put(pool, large).await?;
    if let Some(problem) = put.values().find_map(|put| put.as_ref().err()) {
        // Those whose blobs were put would find it left alone the next moment.
        let needs_it = |new: &NewPayload| put.contains_key(&new.reference.id);
        let runs = batch
            .iter()
            .filter(|commit| commit.payloads.iter().any(needs_it))
            .map(|commit| commit.head.run)
            .collect();
        return Err(away(runs, problem));
    }
    let placed = |new: &&'p NewPayload| Placed {
        new,
        object: put.remove(&new.reference.id).and_then(Result::ok),
    };
    Ok(large.iter().map(placed).collect())
}

fn portions<'b, 'p>(blobs: &'b [Placed<'p>]) -> impl Iterator<Item = &'b [Placed<'p>]> {
    let mut bytes = 0;
    blobs.chunk_by(move |one, next| {
        bytes += one.bytes();
        let fits = bytes + next.bytes() <= STATEMENT_BYTES_MAX;
        if !fits {
            bytes = 0;
        }
        fits
    })
}

async fn put(pool: &PgPool, blobs: &[Placed<'_>]) -> Result<(), Problem> {
    let reference = |placed: &Placed<'_>| placed.new.reference;
    let mut tx = Prelude::Blobs.begin(pool).await?;
    sqlx::query_file!(
        "queries/blob/put.sql",
        &column(blobs, |placed| shard(reference(placed).id.shard())),
        &column(blobs, |placed| reference(placed).id.0),
        &column(blobs, |placed| reference(placed).hash.to_vec()),
        &column(blobs, |placed| placed.new.payload.encoding.as_str()) as _,
        &column(blobs, |placed| placed.data()) as _,
        &column(blobs, |placed| placed.object.as_deref()) as _,
    )
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

#[cfg(test)]
mod tests {
    use fulcrum_core::ids::{RunId, Shard};
    use fulcrum_core::payload::Payload;
    use fulcrum_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_statement_holds_what_fits_and_at_least_one() {
        let run = RunId::new(Timestamp(0), Shard(0), 1);
        let blob = |mib: usize| {
            let payload = Payload {
                encoding: "json".to_owned(),
                data: vec![0; mib << 20],
            };
            payload.named(run, &[0; 32], 0)
        };
        let blobs = [3, 3, 3, 9, 8, 1].map(blob);
        let blobs: Vec<Placed<'_>> = blobs
            .iter()
            .map(|new| Placed { new, object: None })
            .collect();
        let sizes: Vec<usize> = portions(&blobs).map(<[_]>::len).collect();
        assert_eq!(sizes, [2, 1, 1, 1, 1]);
    }
}
