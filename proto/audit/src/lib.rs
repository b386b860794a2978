//! The installation log: one leaf for each commit, in a Merkle tree whose head is signed.
//!
//! A run's own chain shows that its timeline is whole, and cannot show that all of it was written anew, or that its end
//! is missing. The log can: a commit leaves a [`leaf`] that says how far it brought which runs, in the transaction that
//! brought them there. Leaves get their places afterwards, all those that are there at once, so that no commit waits
//! for another. Whoever holds a signed head ([`note`]) can tell by a [`proof`] that a later one only adds to it; who does so
//! all the time is a [`witness`].
//!
//! The tree and its proofs are those of RFC 6962 and the heads are C2SP checkpoints, so that any tool that knows them can
//! check. Places are counted from 0. This crate knows no clock, file, network or database.

pub mod leaf;
pub mod node;
pub mod note;
pub mod proof;
pub mod tree;
pub mod witness;

pub use leaf::{Leaf, Notice, Reached};
pub use node::NodeHash;
pub use note::{Head, Signer, Verifier};
pub use tree::{Tile, Tree};
pub use witness::{Alarm, Witness};
