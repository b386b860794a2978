//! Reading a part of a payload, wherever it is. Its hash is that of the whole: whoever puts the parts together holds them
//! against it.

use std::ops::Range;

use fulcrum_core::payload::PayloadRef;
use fulcrum_core::store::StoreError;
use sqlx::{PgConnection, PgPool};

use super::Blobs;
use super::objects::{Got, away};
use crate::column::array::shard;
use crate::problem::Problem;
use crate::work::Prelude;

/// What was found: the bytes, or the name of the object that holds them.
enum Place {
    Here(Vec<u8>),
    Object(String),
}

/// The bytes of `range`, which lies within the payload.
pub(crate) async fn part(
    pool: &PgPool,
    blobs: &Blobs,
    reference: PayloadRef,
    range: Range<u32>,
) -> Result<Vec<u8>, Problem> {
    let mut tx = Prelude::Read.begin(pool).await?;
    let found = match from_blobs(&mut tx, reference, &range).await? {
        Some(place) => Some(place),
        // It is no blob by now, or was none when it was written.
        None => from_payloads(&mut tx, reference, &range).await?,
    };
    tx.rollback().await?;
    let bytes = match found {
        None => None,
        Some(Place::Here(bytes)) => Some(bytes),
        Some(Place::Object(name)) => from_object(blobs, reference, name, range.clone()).await?,
    };
    let corrupt = |problem: &str| StoreError::CorruptPayload {
        payload: reference.id,
        problem: problem.to_owned(),
    };
    let bytes = bytes.ok_or_else(|| corrupt("it is missing"))?;
    if bytes.len() == range.len() {
        Ok(bytes)
    } else {
        Err(corrupt("it is shorter than what is referred to").into())
    }
}

async fn from_blobs(
    tx: &mut PgConnection,
    reference: PayloadRef,
    range: &Range<u32>,
) -> Result<Option<Place>, Problem> {
    let row = sqlx::query_file!(
        "queries/blob/part.sql",
        shard(reference.id.shard()),
        reference.id.0,
        first(range),
        length(range),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.and_then(|row| match (row.data, row.object) {
        (Some(data), _) => Some(Place::Here(data)),
        (None, object) => object.map(Place::Object),
    }))
}

async fn from_payloads(
    tx: &mut PgConnection,
    reference: PayloadRef,
    range: &Range<u32>,
) -> Result<Option<Place>, Problem> {
    let row = sqlx::query_file!(
        "queries/load/payload_part.sql",
        shard(reference.id.shard()),
        reference.id.0,
        first(range),
        length(range),
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Place::Here(row.data)))
}

async fn from_object(
    blobs: &Blobs,
    reference: PayloadRef,
    name: String,
    range: Range<u32>,
) -> Result<Option<Vec<u8>>, Problem> {
    let Some(objects) = &blobs.objects else {
        let problem = "blobs are in object storage, and none is configured (blobs.url)";
        return Err(away(Vec::new(), problem));
    };
    let got = objects.get_part(reference, name, range).await;
    match got.map_err(|problem| away(Vec::new(), &problem))? {
        Got::Bytes(bytes) => Ok(Some(bytes)),
        Got::Nothing => Ok(None),
    }
}

/// Counted from one, as SQL does.
fn first(range: &Range<u32>) -> i32 {
    i32::try_from(range.start.saturating_add(1)).unwrap_or(i32::MAX)
}

fn length(range: &Range<u32>) -> i32 {
    i32::try_from(range.len()).unwrap_or(i32::MAX)
}
