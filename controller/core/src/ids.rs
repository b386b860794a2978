//! Identifiers.
//!
//! Every id is 128 bits with the layout of a UUIDv7 and is printed as a TypeID (`run_01h455vb4pex5vsknk084sn02q`).
//! A run id carries its shard ordinal in the 12 `rand_a` bits, so that a router needs no look-up, and ids that
//! belong to a run (child runs, tasks, payloads, reviews) repeat the run's time and shard bits: they sort beside it,
//! fall into the same time partition, and are derived by SHA-256, so that deriving twice names the same thing once.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind} id; expected `{prefix}_` followed by 26 characters of base32")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
    /// The kind of id that was expected, for example `run`.
    pub kind: &'static str,
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! typed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The TypeID prefix, without the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Unix milliseconds at birth, from the UUIDv7 layout.
            #[must_use]
            pub fn birth_ms(&self) -> u64 {
                birth_ms(self.0)
            }

            /// The shard ordinal carried in the `rand_a` bits.
            #[must_use]
            pub fn shard(&self) -> Shard {
                shard_of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "_"))?;
                f.write_str(&base32(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(unbase32)
                    .map(Self)
                    .ok_or_else(|| InvalidId { text: text.chars().take(64).collect(), kind: $kind, prefix: $prefix })
            }
        }
    };
}

typed_id!(
    /// One execution of a workflow.
    RunId, "run", "run"
);
typed_id!(
    /// The offer of one step's work to workers; derived from (run, step key).
    TaskId, "task", "task"
);
typed_id!(
    /// One stored payload.
    PayloadId, "pay", "payload"
);
typed_id!(
    /// One question to a person; derived from (run, step key).
    ReviewId, "rev", "review"
);
typed_id!(
    /// One durable timer; derived from (run, step key, purpose).
    TimerId, "tmr", "timer"
);
typed_id!(
    /// One piece of internal mail from run to run.
    MailId, "mail", "mail"
);
typed_id!(
    /// A worker: an executor or a connector.
    WorkerId, "wrk", "worker"
);
typed_id!(
    /// A namespace: one company or project.
    NamespaceId, "ns", "namespace"
);
typed_id!(
    /// A commit, stored in the run row so that an unknown outcome can be resolved by reading.
    CommitId, "cmt", "commit"
);

/// The ordinal of a shard inside a namespace, 0 to 4,095. A root run and everything under it live in one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shard(pub u16);

impl RunId {
    /// A new root run id: birth time, shard, and 62 bits of entropy.
    #[must_use]
    pub fn new(at: crate::time::Timestamp, shard: Shard, entropy: u64) -> Self {
        Self(compose(at.as_millis(), shard, entropy))
    }

    /// The id of the child that (parent, step key, index) spawns; spawning twice names the same child.
    #[must_use]
    pub fn child(parent: RunId, step_key: &str, index: u32) -> Self {
        Self(derive(
            parent,
            "child",
            &[step_key.as_bytes(), &index.to_be_bytes()],
        ))
    }
}

impl TaskId {
    /// The task of a step; a step has at most one open task.
    #[must_use]
    pub fn of_step(run: RunId, step_key: &str) -> Self {
        Self(derive(run, "task", &[step_key.as_bytes()]))
    }
}

impl ReviewId {
    /// The review that a step asks.
    #[must_use]
    pub fn of_step(run: RunId, step_key: &str) -> Self {
        Self(derive(run, "review", &[step_key.as_bytes()]))
    }
}

impl TimerId {
    /// The timer that a step holds for one purpose (`sleep`, `total`, `expiry`).
    #[must_use]
    pub fn of_step(run: RunId, step_key: &str, purpose: &str) -> Self {
        Self(derive(
            run,
            "timer",
            &[step_key.as_bytes(), purpose.as_bytes()],
        ))
    }
}

impl PayloadId {
    /// The `n`th payload made by the decision with this entropy.
    #[must_use]
    pub fn derived(run: RunId, entropy: &[u8; 32], n: u32) -> Self {
        Self(derive(run, "payload", &[entropy, &n.to_be_bytes()]))
    }

    /// A value that came before any run refers to it.
    #[must_use]
    pub fn staged(at: crate::time::Timestamp, shard: Shard, entropy: u64) -> Self {
        Self(compose(at.as_millis(), shard, entropy))
    }
}

impl MailId {
    /// The mail that `from` sends about a step; the same occasion always gives the same id.
    #[must_use]
    pub fn of(to: RunId, occasion: &str, n: u64) -> Self {
        Self(derive(to, "mail", &[occasion.as_bytes(), &n.to_be_bytes()]))
    }
}

/// SHA-256 of a definition's canonical model and language version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DefinitionHash(pub [u8; 32]);

/// SHA-256 of a capability contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContractHash(pub [u8; 32]);

macro_rules! hex_hash {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
hex_hash!(DefinitionHash);
hex_hash!(ContractHash);

const VERSION_7: u128 = 0x7 << 76;
const VARIANT: u128 = 0b10 << 62;
const RAND_B: u128 = (1 << 62) - 1;

fn compose(birth_ms: u64, shard: Shard, rand_b: u64) -> Uuid {
    let time = u128::from(birth_ms & 0xFFFF_FFFF_FFFF) << 80;
    let shard = u128::from(shard.0 & 0x0FFF) << 64;
    Uuid::from_u128(time | VERSION_7 | shard | VARIANT | (u128::from(rand_b) & RAND_B))
}

fn birth_ms(id: Uuid) -> u64 {
    (id.as_u128() >> 80) as u64
}

fn shard_of(id: Uuid) -> Shard {
    Shard(((id.as_u128() >> 64) & 0x0FFF) as u16)
}

/// Length-prefixed, so that no two lists of parts hash alike.
fn derive(run: RunId, purpose: &str, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(run.0.as_bytes());
    for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
        hash.update((part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut low = [0u8; 8];
    low.copy_from_slice(&digest[..8]);
    compose(run.birth_ms(), run.shard(), u64::from_be_bytes(low))
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn base32(id: Uuid) -> String {
    let value = id.as_u128();
    (0..26)
        .rev()
        .map(|i| char::from(ALPHABET[((value >> (i * 5)) & 31) as usize]))
        .collect()
}

fn unbase32(text: &str) -> Option<Uuid> {
    if text.len() != 26 || !matches!(text.as_bytes()[0], b'0'..=b'7') {
        return None;
    }
    let mut value: u128 = 0;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|a| *a == byte)?;
        value = (value << 5) | digit as u128;
    }
    Some(Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn run() -> RunId {
        RunId::new(
            Timestamp::from_millis(1_700_000_000_123),
            Shard(4095),
            u64::MAX,
        )
    }

    #[test]
    fn a_run_id_carries_its_birth_and_its_shard() {
        assert_eq!(run().birth_ms(), 1_700_000_000_123);
        assert_eq!(run().shard(), Shard(4095));
        assert_eq!(run().0.get_version_num(), 7);
    }

    #[test]
    fn an_id_survives_printing_and_parsing() {
        let text = run().to_string();
        assert!(text.starts_with("run_"));
        assert_eq!(text.parse::<RunId>(), Ok(run()));
        assert!(text.parse::<TaskId>().is_err());
        assert!("run_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<RunId>().is_err());
    }

    #[test]
    fn derived_ids_share_time_and_shard_and_repeat_themselves() {
        let child = RunId::child(run(), "items~1", 7);
        assert_eq!(child, RunId::child(run(), "items~1", 7));
        assert_ne!(child, RunId::child(run(), "items~1", 8));
        assert_eq!(child.shard(), run().shard());
        assert_eq!(child.birth_ms(), run().birth_ms());
    }
}
