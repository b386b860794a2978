//! Lease tokens on the wire are sealed: what a worker hands back is what it was given. The commit checks lease and
//! holder against the task's row anyway; the seal covers the rest of the token, such as the time of the grant, which
//! goes into the timeline.

use aws_lc_rs::{constant_time, hmac};

use crate::engine::token::{InvalidToken, LeaseToken};

/// First byte of every sealed token. Bare tokens began with 1.
const SEAL_VERSION: u8 = 2;
const TAG_BYTES: usize = 16;
/// Apart from what else the installation's key authenticates.
const PURPOSE: &[u8] = b"fulcrum lease token v2\0";

/// Seals and opens lease tokens. All controllers of an installation have the same.
#[derive(Clone)]
pub struct LeaseSeal {
    key: hmac::Key,
}

impl LeaseSeal {
    /// From the key kept with the installation.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    /// The bytes for the worker.
    #[must_use]
    pub fn close(&self, token: &LeaseToken) -> Vec<u8> {
        let body = token.encode();
        let mut sealed = Vec::with_capacity(1 + TAG_BYTES + body.len());
        sealed.push(SEAL_VERSION);
        sealed.extend(self.tag(&body));
        sealed.extend(body);
        sealed
    }

    /// Reads a token back.
    ///
    /// # Errors
    /// When this installation did not make these bytes.
    pub fn open(&self, bytes: &[u8]) -> Result<LeaseToken, InvalidToken> {
        let (version, rest) = bytes.split_first().ok_or(InvalidToken)?;
        let (tag, body) = rest.split_at_checked(TAG_BYTES).ok_or(InvalidToken)?;
        if *version != SEAL_VERSION {
            return Err(InvalidToken);
        }
        constant_time::verify_slices_are_equal(tag, &self.tag(body)).map_err(|_| InvalidToken)?;
        LeaseToken::decode(body)
    }

    fn tag(&self, body: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(PURPOSE);
        context.update(body);
        let tag = context.sign();
        *tag.as_ref()
            .first_chunk()
            .expect("HMAC-SHA-256 has 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use fulcrum_core::event::StepKey;
    use fulcrum_core::ids::{RunId, Shard, TaskId};
    use fulcrum_core::task::Lease;
    use fulcrum_core::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn token() -> LeaseToken {
        let run = RunId::new(Timestamp::from_millis(1), Shard(3), 7);
        let step = StepKey::first("a/b");
        LeaseToken {
            lease: Lease {
                task: TaskId::of_step(run, &step.to_string()),
                seq: 2,
                nonce: Uuid::from_u128(9),
            },
            run,
            root: run,
            step,
            granted_at: Timestamp(5),
        }
    }

    #[test]
    fn every_controller_of_an_installation_opens_what_one_sealed() {
        let sealed = LeaseSeal::new(&[7; 32]).close(&token());
        assert_eq!(LeaseSeal::new(&[7; 32]).open(&sealed), Ok(token()));
        assert_eq!(LeaseSeal::new(&[8; 32]).open(&sealed), Err(InvalidToken));
    }

    #[test]
    fn a_worker_cannot_move_the_time_of_its_grant() {
        let seal = LeaseSeal::new(&[7; 32]);
        let sealed = seal.close(&token());
        let moved = LeaseToken {
            granted_at: Timestamp(6),
            ..token()
        };
        let mut forged = sealed[..=TAG_BYTES].to_vec();
        forged.extend(moved.encode());
        assert_eq!(seal.open(&forged), Err(InvalidToken));
        assert_eq!(seal.open(&moved.encode()), Err(InvalidToken), "unsealed");
    }

    #[test]
    fn a_changed_or_shortened_token_is_refused_whatever_was_changed() {
        let seal = LeaseSeal::new(&[7; 32]);
        let sealed = seal.close(&token());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open(&changed), Err(InvalidToken), "byte {at}");
            assert_eq!(seal.open(&sealed[..at]), Err(InvalidToken), "{at} bytes");
        }
    }
}
