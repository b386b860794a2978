//! The hashes of the tree's nodes.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// SHA-256 of a leaf or an inner node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeHash(pub [u8; 32]);

impl fmt::Debug for NodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl NodeHash {
    /// The root of a tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Of a leaf with these bytes.
    #[must_use]
    pub fn leaf(bytes: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update([0])
                .chain_update(bytes)
                .finalize()
                .into(),
        )
    }

    /// Of the node above these two.
    #[must_use]
    pub fn above(left: Self, right: Self) -> Self {
        Self(
            Sha256::new()
                .chain_update([1])
                .chain_update(left.0)
                .chain_update(right.0)
                .finalize()
                .into(),
        )
    }

    /// Of the tree over these nodes, which are complete subtrees of one size; the last may be smaller.
    #[must_use]
    pub fn over(nodes: &[Self]) -> Self {
        match nodes {
            [] => Self::empty(),
            [only] => *only,
            _ => {
                let (left, right) = nodes.split_at(split(nodes.len()));
                Self::above(Self::over(left), Self::over(right))
            }
        }
    }
}

/// Where a tree of so many parts branches: at the largest power of two below.
fn split(parts: usize) -> usize {
    1 << (parts - 1).ilog2()
}
