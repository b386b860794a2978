//! What a leaf says.
//!
//! ```text
//! commit   1 ‖ ( run id, 16 bytes ‖ last seq, 8 bytes, highest first ‖ hash of that event, 32 bytes )*
//! notice   2 ‖ JSON object, see [`Notice`]
//! ```

use serde::{Deserialize, Serialize};
use uuid::Uuid;

const COMMIT: u8 = 1;
const NOTICE: u8 = 2;
/// Bytes of a run's entry.
const ENTRY_BYTES: usize = 16 + 8 + 32;

/// How far a commit brought a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// The run.
    pub run: Uuid,
    /// Its last event then.
    pub seq: u64,
    /// That event's hash, which covers all before it.
    pub chain: [u8; 32],
}

/// What happened to the record itself. Times are microseconds since 1970, as everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The log of an installation begins. Commits before it are not in it.
    Began {
        /// The installation.
        install: String,
        /// When.
        at_us: i64,
    },
    /// A day's runs have left by retention. The root is the SHA-256 over their last chain hashes in the order of their
    /// ids.
    DayLeft {
        /// The day (UTC), as `2026-01-31`.
        day: String,
        /// How many runs.
        runs: u64,
        /// In hex.
        root: String,
    },
    /// The database was taken back to an earlier state, and an operator has admitted it.
    Discontinuity {
        /// Leaves that somebody had seen signed, of which some are gone.
        size_seen: u64,
        /// The root that was seen with them, in hex.
        root_seen: String,
        /// Who admitted it.
        actor: String,
        /// Why.
        reason: String,
        /// When.
        at_us: i64,
    },
}

/// A leaf that says nothing we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a leaf of the installation log cannot be read")]
pub struct Unreadable;

/// A leaf, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leaf {
    /// A commit, and how far it brought which runs.
    Commit(Vec<Reached>),
    /// Something that happened to the record.
    Notice(Notice),
}

impl Leaf {
    /// The bytes of a commit's leaf.
    #[must_use]
    pub fn commit(reached: impl ExactSizeIterator<Item = Reached>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + reached.len() * ENTRY_BYTES);
        bytes.push(COMMIT);
        for entry in reached {
            bytes.extend_from_slice(entry.run.as_bytes());
            bytes.extend_from_slice(&entry.seq.to_be_bytes());
            bytes.extend_from_slice(&entry.chain);
        }
        bytes
    }

    /// The bytes of a notice's leaf.
    #[must_use]
    pub fn notice(notice: &Notice) -> Vec<u8> {
        let mut bytes = vec![NOTICE];
        // Text and numbers: there is nothing in a notice that JSON cannot say.
        if serde_json::to_writer(&mut bytes, notice).is_err() {
            bytes.truncate(1);
        }
        bytes
    }

    /// Reads a leaf.
    ///
    /// # Errors
    /// It is none, or one of a later version.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.split_first() {
            Some((&COMMIT, entries)) => {
                let (entries, []) = entries.as_chunks::<ENTRY_BYTES>() else {
                    return Err(Unreadable);
                };
                Ok(Self::Commit(entries.iter().map(reached).collect()))
            }
            Some((&NOTICE, json)) => serde_json::from_slice(json)
                .map(Self::Notice)
                .map_err(|_| Unreadable),
            _ => Err(Unreadable),
        }
    }
}

fn reached(entry: &[u8; ENTRY_BYTES]) -> Reached {
    let (mut run, mut seq, mut chain) = ([0; 16], [0; 8], [0; 32]);
    run.copy_from_slice(&entry[..16]);
    seq.copy_from_slice(&entry[16..24]);
    chain.copy_from_slice(&entry[24..]);
    Reached {
        run: Uuid::from_bytes(run),
        seq: u64::from_be_bytes(seq),
        chain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(n: u8) -> Reached {
        Reached {
            run: Uuid::from_u128(n.into()),
            seq: u64::from(n) << 40,
            chain: [n; 32],
        }
    }

    #[test]
    fn leaves_survive_writing_and_reading() {
        for count in [0, 1, 3] {
            let entries: Vec<Reached> = (0..count).map(reached).collect();
            let bytes = Leaf::commit(entries.iter().copied());
            assert_eq!(bytes.len(), 1 + entries.len() * 56);
            assert_eq!(Leaf::read(&bytes), Ok(Leaf::Commit(entries)));
        }
        let notice = Notice::Began {
            install: "f-07".to_owned(),
            at_us: 1_795_000_000_000_000,
        };
        let bytes = Leaf::notice(&notice);
        assert_eq!(&bytes[1..12], br#"{"notice":""#);
        assert_eq!(Leaf::read(&bytes), Ok(Leaf::Notice(notice)));
    }

    #[test]
    fn damaged_leaves_are_told() {
        let good = Leaf::commit([reached(1)].into_iter());
        for bad in [&[][..], &[3], &good[..good.len() - 1], b"\x02{}", b"\x02"] {
            assert_eq!(Leaf::read(bad), Err(Unreadable), "{bad:?}");
        }
    }
}
