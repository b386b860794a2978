//! Where randomness comes from: the operating system, or, in a simulation, a seed.
//!
//! Whatever of the engine needs randomness draws it here, so that a seeded engine does the same things in the same
//! order again. Secrets are never drawn here: certificates, tokens and lease nonces have sources of their own.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

/// A source of randomness. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Entropy {
    source: Arc<Source>,
}

enum Source {
    System(Mutex<Vec<[u8; BLOCK_BYTES]>>),
    Seeded(Stream),
}

const BLOCK_BYTES: usize = 32;

/// Blocks that are asked of the operating system at once: a call costs more than what it brings.
const DRAWN: usize = 64;

/// SHA-256 in counter mode: slow, plain, and the same on every machine.
struct Stream {
    seed: [u8; 32],
    blocks: AtomicU64,
}

impl Entropy {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self {
            source: Arc::new(Source::System(Mutex::default())),
        }
    }

    /// A stream that follows from `seed` alone. For simulations: whoever knows the seed knows every id.
    #[must_use]
    pub fn seeded(seed: [u8; 32]) -> Self {
        let blocks = AtomicU64::new(0);
        Self {
            source: Arc::new(Source::Seeded(Stream { seed, blocks })),
        }
    }

    /// Thirty-two random bytes.
    ///
    /// # Errors
    /// When the operating system has none to give.
    pub fn block(&self) -> Result<[u8; 32], getrandom::Error> {
        match self.source.as_ref() {
            Source::System(drawn) => {
                next(&mut drawn.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Source::Seeded(stream) => Ok(stream.block()),
        }
    }
}

/// Nothing of what it holds is for a log.
impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entropy").finish_non_exhaustive()
    }
}

impl Default for Entropy {
    fn default() -> Self {
        Self::system()
    }
}

fn next(drawn: &mut Vec<[u8; BLOCK_BYTES]>) -> Result<[u8; BLOCK_BYTES], getrandom::Error> {
    if let Some(block) = drawn.pop() {
        return Ok(block);
    }
    let mut bytes = [0; BLOCK_BYTES * DRAWN];
    getrandom::fill(&mut bytes)?;
    let (blocks, _) = bytes.as_chunks();
    drawn.extend_from_slice(&blocks[1..]);
    Ok(blocks[0])
}

impl Stream {
    fn block(&self) -> [u8; BLOCK_BYTES] {
        let block = self.blocks.fetch_add(1, Ordering::Relaxed);
        let mut hash = Sha256::new();
        hash.update(self.seed);
        hash.update(block.to_be_bytes());
        hash.finalize().into()
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
