//! Lease tokens on the wire are sealed: what a worker hands back is what it was given. The commit checks lease and
//! holder against the task's row anyway; the seal covers the rest of the token, such as the time of the grant, which
//! goes into the timeline.

use super::seal::Seal;
use crate::engine::token::{InvalidToken, LeaseToken};

/// First byte of every sealed token. Bare tokens began with 1.
const SEAL_VERSION: u8 = 2;
/// Apart from what else the installation's key authenticates.
const PURPOSE: &[u8] = b"fulcrum lease token v2\0";

/// Seals and opens lease tokens. All controllers of an installation have the same.
#[derive(Clone)]
pub struct LeaseSeal(Seal);

impl LeaseSeal {
    /// From the key kept with the installation.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Seal::new(key, SEAL_VERSION, PURPOSE))
    }

    /// The bytes for the worker.
    #[must_use]
    pub fn close(&self, token: &LeaseToken) -> Vec<u8> {
        self.0.close(&token.encode())
    }

    /// Reads a token back.
    ///
    /// # Errors
    /// When this installation did not make these bytes.
    pub fn open(&self, bytes: &[u8]) -> Result<LeaseToken, InvalidToken> {
        LeaseToken::decode(self.0.open(bytes).ok_or(InvalidToken)?)
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
        let mut forged = sealed[..17].to_vec();
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
