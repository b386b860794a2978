//! Where randomness comes from: the operating system, or, in a simulation, a seed.
//!
//! Whatever of the engine needs randomness draws it here, so that a seeded engine does the same things in the same
//! order again. Secrets are never drawn here: certificates, tokens and lease nonces have sources of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// A source of randomness. Cheap to clone; clones of a seeded one share its stream.
#[derive(Debug, Clone, Default)]
pub struct Entropy {
    stream: Option<Arc<Stream>>,
}

/// SHA-256 in counter mode: slow, plain, and the same on every machine.
#[derive(Debug)]
struct Stream {
    seed: [u8; 32],
    blocks: AtomicU64,
}

impl Entropy {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A stream that follows from `seed` alone. For simulations: whoever knows the seed knows every id.
    #[must_use]
    pub fn seeded(seed: [u8; 32]) -> Self {
        let blocks = AtomicU64::new(0);
        Self {
            stream: Some(Arc::new(Stream { seed, blocks })),
        }
    }

    /// Thirty-two random bytes.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub fn block(&self) -> Result<[u8; 32], getrandom::Error> {
        let Some(stream) = &self.stream else {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes)?;
            return Ok(bytes);
        };
        let block = stream.blocks.fetch_add(1, Ordering::Relaxed);
        let mut hash = Sha256::new();
        hash.update(stream.seed);
        hash.update(block.to_be_bytes());
        Ok(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream_and_the_system_none_that_repeats() {
        let draw = |entropy: Entropy| [entropy.block().unwrap(), entropy.block().unwrap()];
        let first = draw(Entropy::seeded([7; 32]));
        assert_eq!(first, draw(Entropy::seeded([7; 32])));
        assert_ne!(first, draw(Entropy::seeded([8; 32])));
        assert_ne!(first[0], first[1]);
        assert_ne!(draw(Entropy::system()), draw(Entropy::system()));
    }
}
