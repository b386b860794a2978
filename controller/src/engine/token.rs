//! The opaque lease token that a worker holds: enough to route its reports. The task id must follow from run and step,
//! and the commit checks lease and holder against the task row. On the wire it is sealed (`grpc/lease_seal.rs`), so that
//! the rest of it comes back as it was given out.

use fulcrum_core::event::StepKey;
use fulcrum_core::ids::{RunId, TaskId};
use fulcrum_core::store::GrantedTask;
use fulcrum_core::task::Lease;
use fulcrum_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// First byte of every token.
const TOKEN_VERSION: u8 = 1;
/// Longer tokens are not ours.
const TOKEN_BYTES_MAX: usize = 1_024;
/// Most are shorter, so that their buffer need not grow.
const USUAL_BYTES: usize = 128;

/// What a lease token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseToken {
    /// The fence.
    pub lease: Lease,
    /// The run.
    pub run: RunId,
    /// Its root: chooses the lane.
    pub root: RunId,
    /// The step.
    pub step: StepKey,
    /// When the lease was granted.
    pub granted_at: Timestamp,
}

/// The bytes are not a lease token, or not of this installation's making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a lease token")]
pub struct InvalidToken;

impl LeaseToken {
    /// The token of a grant.
    #[must_use]
    pub fn of(task: &GrantedTask) -> Self {
        Self {
            lease: task.lease,
            run: task.run,
            root: task.root,
            step: task.step.clone(),
            granted_at: task.granted_at,
        }
    }

    /// The bytes for the wire.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        bytes.push(TOKEN_VERSION);
        postcard::to_extend(self, bytes).expect("a token holds only encodable types")
    }

    /// Reads a token back and checks that its parts belong together.
    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidToken> {
        let (version, body) = bytes.split_first().ok_or(InvalidToken)?;
        if *version != TOKEN_VERSION || bytes.len() > TOKEN_BYTES_MAX {
            return Err(InvalidToken);
        }
        let token: Self = postcard::from_bytes(body).map_err(|_| InvalidToken)?;
        let belongs = token.lease.task == TaskId::of_step(token.run, &token.step.to_string())
            && token.root.shard() == token.run.shard();
        if belongs {
            Ok(token)
        } else {
            Err(InvalidToken)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulcrum_core::ids::Shard;
    use uuid::Uuid;

    fn token() -> LeaseToken {
        let run = RunId::new(Timestamp::from_millis(1), Shard(3), 7);
        let step = StepKey::first("a/b");
        let lease = Lease {
            task: TaskId::of_step(run, &step.to_string()),
            seq: 2,
            nonce: Uuid::from_u128(9),
        };
        LeaseToken {
            lease,
            run,
            root: run,
            step,
            granted_at: Timestamp(5),
        }
    }

    #[test]
    fn a_token_survives_the_wire() {
        assert_eq!(LeaseToken::decode(&token().encode()), Ok(token()));
    }

    #[test]
    fn a_token_that_names_another_step_is_refused() {
        let forged = LeaseToken {
            step: StepKey::first("a/c"),
            ..token()
        };
        assert_eq!(LeaseToken::decode(&forged.encode()), Err(InvalidToken));
        assert_eq!(LeaseToken::decode(&[]), Err(InvalidToken));
        assert_eq!(LeaseToken::decode(&[1, 2, 3]), Err(InvalidToken));
    }
}
