//! Effect keys: the stable name of one effect, handed to the far side so that a repetition is recognised.

use sha2::{Digest, Sha256};

use crate::event::StepKey;
use crate::ids::{NamespaceId, RunId};

/// The effect key of a step's call: SHA-256 over (namespace, run, step path, epoch, operation), as 64 hex digits. The
/// same for every attempt; another one after a restart, which raises the epoch.
#[must_use]
pub fn effect_key(namespace: NamespaceId, run: RunId, step: &StepKey, operation: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(namespace.0.as_bytes());
    hash.update(run.0.as_bytes());
    hash.update((step.path.len() as u32).to_be_bytes());
    hash.update(step.path.as_bytes());
    hash.update(step.epoch.to_be_bytes());
    hash.update(operation.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (halves, _) = digest.as_chunks();
    let [high, low] = [halves[0], halves[1]].map(u128::from_be_bytes);
    format!("{high:032x}{low:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Shard;
    use crate::time::Timestamp;
    use uuid::Uuid;

    #[test]
    fn a_restarted_step_has_another_key_and_a_retried_one_the_same() {
        let run = RunId::new(Timestamp::from_millis(1), Shard(0), 1);
        let namespace = NamespaceId(Uuid::from_u128(1));
        let first = StepKey::first("invoice");
        let again = StepKey {
            epoch: 2,
            ..first.clone()
        };
        let key = effect_key(namespace, run, &first, "call");
        // The far side knows what was done by this name: it is the same for ever.
        let pinned = "14a464afb742d35ba36547abffb546c9396982357ab1d70e3b14f70f0a7c2a8d";
        assert_eq!(key, pinned);
        assert_eq!(key, effect_key(namespace, run, &first.clone(), "call"));
        assert_ne!(
            effect_key(namespace, run, &first, "call"),
            effect_key(namespace, run, &again, "call")
        );
    }
}
