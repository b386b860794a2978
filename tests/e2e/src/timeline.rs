//! The hash chain of a timeline, recomputed from the stored bytes without any of the product's code.

use anyhow::Context as _;
use fulcrum_proto::workflow::v1::Event;
use sha2::{Digest as _, Sha256};

const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

/// Checks that the events are gapless and that each one's hash covers the one before it, the run, its place, kind, schema
/// and body.
///
/// # Errors
/// The first place where that is not so.
pub fn verify(run_id: &str, events: &[Event]) -> anyhow::Result<()> {
    let run = uuid(run_id)?;
    let mut head = [0u8; 32];
    for (seq, event) in (1u64..).zip(events) {
        anyhow::ensure!(
            event.seq == seq,
            "{run_id}: event {} stands at place {seq}",
            event.seq
        );
        anyhow::ensure!(
            event.prev_hash == head.as_slice(),
            "{run_id}: event {seq} does not follow the one before it"
        );
        let mut hash = Sha256::new();
        hash.update(head);
        hash.update(run.to_be_bytes());
        hash.update(seq.to_be_bytes());
        hash.update(u16::try_from(event.kind_number)?.to_be_bytes());
        hash.update(u16::try_from(event.schema)?.to_be_bytes());
        hash.update(&event.body);
        head = hash.finalize().into();
        anyhow::ensure!(
            event.hash == head.as_slice(),
            "{run_id}: event {seq} ({}) was changed",
            event.kind
        );
    }
    Ok(())
}

/// The 128 bits behind a TypeID.
///
/// # Errors
/// It is not one.
pub fn uuid(id: &str) -> anyhow::Result<u128> {
    let (_, digits) = id.split_once('_').context("an id has a prefix")?;
    digits.chars().try_fold(0u128, |value, digit| {
        let digit = ALPHABET
            .find(digit)
            .with_context(|| format!("{id} is no TypeID"))?;
        Ok((value << 5) | u128::try_from(digit)?)
    })
}

/// The TypeID of these 128 bits.
pub fn text(prefix: &str, id: u128) -> String {
    let digits = (0..26).rev().map(|place| {
        let digit = usize::try_from((id >> (place * 5)) & 31).unwrap_or_default();
        char::from(ALPHABET.as_bytes()[digit])
    });
    format!("{prefix}_{}", digits.collect::<String>())
}
