//! Reading payloads, wherever they are.

use std::collections::BTreeMap;

use fulcrum_core::ids::PayloadId;
use fulcrum_core::payload::{NewPayload, Payload, PayloadRef};
use fulcrum_core::store::StoreError;
use sqlx::{PgConnection, PgPool};

use super::Blobs;
use super::objects::{Got, away};
use crate::column::array::{column, shard};
use crate::problem::Problem;
use crate::work::Prelude;

/// What was found: the bytes, or the name of the object that holds them.
enum Place {
    Here(Vec<u8>),
    Object(String),
}

type Stored = BTreeMap<PayloadId, (String, Place)>;

/// Payloads in the order of `refs`, each held against its hash.
pub(crate) async fn payloads(
    pool: &PgPool,
    blobs: &Blobs,
    refs: &[PayloadRef],
) -> Result<Vec<NewPayload>, Problem> {
    let (small, large): (Vec<PayloadRef>, Vec<PayloadRef>) =
        refs.iter().partition(|one| blobs.limit.holds(one));
    let mut tx = Prelude::Read.begin(pool).await?;
    let mut stored = Stored::new();
    from_payloads(&mut tx, &small, &mut stored).await?;
    from_blobs(&mut tx, &large, &mut stored).await?;
    // Another limit, or none, was in force when these were written.
    let missing = |refs: Vec<PayloadRef>, stored: &Stored| -> Vec<PayloadRef> {
        let is_missing = |one: &PayloadRef| !stored.contains_key(&one.id);
        refs.into_iter().filter(is_missing).collect()
    };
    let (small, large) = (missing(small, &stored), missing(large, &stored));
    from_payloads(&mut tx, &large, &mut stored).await?;
    from_blobs(&mut tx, &small, &mut stored).await?;
    tx.rollback().await?;
    from_objects(blobs, refs, &mut stored).await?;
    refs.iter()
        .map(|reference| verified(*reference, stored.get(&reference.id)))
        .collect()
}

/// Fetches what is in object storage. What is not there after all is missing.
async fn from_objects(
    blobs: &Blobs,
    refs: &[PayloadRef],
    stored: &mut Stored,
) -> Result<(), Problem> {
    let mut wanted = BTreeMap::new();
    for reference in refs {
        if let Some((_, Place::Object(name))) = stored.get(&reference.id) {
            wanted.insert(reference.id, (*reference, name.clone()));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let Some(objects) = &blobs.objects else {
        let problem = "blobs are in object storage, and none is configured (blobs.url)";
        return Err(away(Vec::new(), problem));
    };
    let wanted = wanted.into_values().collect();
    let found = objects.get(wanted).await;
    for (payload, got) in found.map_err(|problem| away(Vec::new(), &problem))? {
        match (got, stored.get_mut(&payload)) {
            (Got::Bytes(bytes), Some((_, place))) => *place = Place::Here(bytes),
            (Got::Nothing, _) | (Got::Bytes(_), None) => {
                stored.remove(&payload);
            }
        }
    }
    Ok(())
}

async fn from_payloads(
    tx: &mut PgConnection,
    refs: &[PayloadRef],
    stored: &mut Stored,
) -> Result<(), Problem> {
    if refs.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query_file!(
        "queries/load/payloads.sql",
        &column(refs, |r| shard(r.id.shard())),
        &column(refs, |r| r.id.0),
    )
    .fetch_all(tx)
    .await?;
    stored.extend(rows.into_iter().map(|row| {
        let stored = (row.encoding, Place::Here(row.data));
        (PayloadId(row.payload_id), stored)
    }));
    Ok(())
}

async fn from_blobs(
    tx: &mut PgConnection,
    refs: &[PayloadRef],
    stored: &mut Stored,
) -> Result<(), Problem> {
    if refs.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query_file!(
        "queries/blob/get.sql",
        &column(refs, |r| shard(r.id.shard())),
        &column(refs, |r| r.id.0),
    )
    .fetch_all(tx)
    .await?;
    stored.extend(rows.into_iter().filter_map(|row| {
        let place = match (row.data, row.object) {
            (Some(data), _) => Place::Here(data),
            (None, object) => Place::Object(object?),
        };
        Some((PayloadId(row.payload_id), (row.encoding, place)))
    }));
    Ok(())
}

fn verified(
    reference: PayloadRef,
    stored: Option<&(String, Place)>,
) -> Result<NewPayload, Problem> {
    let corrupt = |problem: &str| StoreError::CorruptPayload {
        payload: reference.id,
        problem: problem.to_owned(),
    };
    let Some((encoding, Place::Here(data))) = stored else {
        return Err(corrupt("it is missing").into());
    };
    let payload = Payload {
        encoding: encoding.clone(),
        data: data.clone(),
    };
    if payload.hash() != reference.hash {
        return Err(
            corrupt("its bytes do not match the hash under which it is referred to").into(),
        );
    }
    Ok(NewPayload::new(reference, payload))
}
