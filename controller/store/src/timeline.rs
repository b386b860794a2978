//! How a timeline lies in its table: a row for each event, or, from [`FeatureLevel::BUNDLES`] on, a row for the events
//! that one commit wrote, a *bundle*. A row costs as much as the event in it: in its index, its header, its statement.
//!
//! A bundle's `kind` is -1 and its `schema` the number of its events; its `seq` and `hash` are those of the last one. Its
//! body is one entry after the other: kind and schema (16 bits each), the length of the body (32 bits), hash, body;
//! numbers with their highest byte first. `fulcrum_timeline` tells the same to SQL.

use std::borrow::Cow;

use fulcrum_core::event::ChainHash;
use fulcrum_core::ids::RunId;
use fulcrum_core::store::StoredEvent;

use crate::column::array::{long, small};
use crate::column::decode;
use crate::problem::Problem;
use crate::versions::FeatureLevel;

const BUNDLE: i16 = -1;

/// What a page of a timeline has to read at least: a bundle is not larger than this, unless one event is.
const BUNDLE_BYTES_MAX: usize = 16 * 1024;

/// Kind, schema, length, hash.
const HEADER_BYTES: usize = 2 + 2 + 4 + 32;

/// A row of `events`.
pub(crate) struct Row<'e> {
    pub(crate) run: RunId,
    pub(crate) seq: i64,
    pub(crate) kind: i16,
    pub(crate) schema: i16,
    pub(crate) body: Cow<'e, [u8]>,
    pub(crate) hash: ChainHash,
}

/// The rows of what one commit adds to a timeline.
pub(crate) fn rows(run: RunId, events: &[StoredEvent], level: FeatureLevel) -> Vec<Row<'_>> {
    if level < FeatureLevel::BUNDLES {
        return events.iter().map(|event| single(run, event)).collect();
    }
    let mut rows = Vec::with_capacity(1);
    let mut rest = events;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |event: &&StoredEvent| {
            bytes += HEADER_BYTES + event.body.len();
            bytes <= BUNDLE_BYTES_MAX
        };
        let together = rest.iter().take_while(fits).count().max(1);
        let (bundle, after) = rest.split_at(together);
        rows.push(row(run, bundle));
        rest = after;
    }
    rows
}

fn row<'e>(run: RunId, events: &'e [StoredEvent]) -> Row<'e> {
    let [.., last] = events else {
        unreachable!("a row has an event")
    };
    if events.len() == 1 {
        return single(run, last);
    }
    let bytes = events
        .iter()
        .map(|event| HEADER_BYTES + event.body.len())
        .sum();
    let mut body = Vec::with_capacity(bytes);
    for event in events {
        let length = u32::try_from(event.body.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&event.kind.to_be_bytes());
        body.extend_from_slice(&event.schema.to_be_bytes());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(&event.hash.0);
        body.extend_from_slice(&event.body);
    }
    Row {
        run,
        seq: long(last.seq),
        kind: BUNDLE,
        schema: i16::try_from(events.len()).unwrap_or(i16::MAX),
        body: Cow::Owned(body),
        hash: last.hash,
    }
}

fn single(run: RunId, event: &StoredEvent) -> Row<'_> {
    Row {
        run,
        seq: long(event.seq),
        kind: small(event.kind),
        schema: small(event.schema),
        body: Cow::Borrowed(&event.body),
        hash: event.hash,
    }
}

/// The events of a row, in order.
pub(crate) fn events(
    seq: i64,
    kind: i16,
    schema: i16,
    body: Vec<u8>,
    hash: Vec<u8>,
) -> Result<Vec<StoredEvent>, Problem> {
    let last = decode::count(seq)?;
    let hash = ChainHash(decode::hash(hash)?);
    if kind != BUNDLE {
        return Ok(vec![StoredEvent {
            seq: last,
            kind: kind.unsigned_abs(),
            schema: schema.unsigned_abs(),
            body,
            hash,
        }]);
    }
    let spoiled = || Problem::schema(format!("the events up to {seq} cannot be told apart"));
    let count = u64::from(schema.unsigned_abs());
    let first = (last + 1).checked_sub(count).ok_or_else(spoiled)?;
    let mut events = Vec::new();
    let mut rest = body.as_slice();
    for seq in first..=last {
        let (event, after) = entry(seq, rest).ok_or_else(spoiled)?;
        events.push(event);
        rest = after;
    }
    let ends = events.last().is_some_and(|last| last.hash == hash);
    if ends && rest.is_empty() {
        Ok(events)
    } else {
        Err(spoiled())
    }
}

fn entry(seq: u64, bytes: &[u8]) -> Option<(StoredEvent, &[u8])> {
    let (kind, rest) = bytes.split_first_chunk()?;
    let (schema, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (hash, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (body, rest) = rest.split_at_checked(length)?;
    let event = StoredEvent {
        seq,
        kind: u16::from_be_bytes(*kind),
        schema: u16::from_be_bytes(*schema),
        body: body.to_vec(),
        hash: ChainHash(*hash),
    };
    Some((event, rest))
}

#[cfg(test)]
mod tests {
    use fulcrum_core::ids::Shard;
    use fulcrum_core::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn run() -> RunId {
        RunId::new(Timestamp::from_millis(1), Shard(1), 1)
    }

    fn timeline(bodies: Vec<Vec<u8>>) -> Vec<StoredEvent> {
        let mut hash = ChainHash::default();
        let numbered = (1..).zip(bodies);
        let event = |(seq, body): (u64, Vec<u8>)| {
            hash = hash.next(run(), seq, 3, 1, &body);
            StoredEvent {
                seq,
                kind: 3,
                schema: 1,
                body,
                hash,
            }
        };
        numbered.map(event).collect()
    }

    fn read(rows: Vec<Row<'_>>) -> Result<Vec<StoredEvent>, Problem> {
        let mut read = Vec::new();
        for row in rows {
            let (body, hash) = (row.body.into_owned(), row.hash.0.to_vec());
            read.extend(events(row.seq, row.kind, row.schema, body, hash)?);
        }
        Ok(read)
    }

    proptest! {
        #[test]
        fn a_timeline_survives_its_table(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9_000), 0..40),
        ) {
            let written = timeline(bodies);
            for level in [FeatureLevel(1), FeatureLevel::BUNDLES] {
                let rows = rows(run(), &written, level);
                prop_assert!(rows.iter().all(|row| row.kind != BUNDLE || row.body.len() <= BUNDLE_BYTES_MAX));
                prop_assert_eq!(&read(rows).ok(), &Some(written.clone()));
            }
        }

        #[test]
        fn a_cut_or_longer_bundle_is_told(cut in 1_usize..100, more in 1_usize..100) {
            let written = timeline(vec![vec![7; 20]; 3]);
            for change in [true, false] {
                let mut rows = rows(run(), &written, FeatureLevel::BUNDLES);
                prop_assert_eq!(rows.len(), 1);
                let body = rows[0].body.to_mut();
                let length = if change { body.len() - cut } else { body.len() + more };
                body.resize(length, 0);
                prop_assert!(read(rows).is_err());
            }
        }
    }

    #[test]
    fn what_a_commit_adds_is_one_row() {
        let written = timeline(vec![vec![1; 100]; 5]);
        assert_eq!(rows(run(), &written, FeatureLevel(1)).len(), 5);
        assert_eq!(rows(run(), &written, FeatureLevel::BUNDLES).len(), 1);
    }
}
