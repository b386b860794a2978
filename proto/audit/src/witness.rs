//! Remembering the largest signed head that one has seen, and noticing when the log goes back on it.

use crate::node::NodeHash;
use crate::note::{Head, NoteError, Verifier};
use crate::proof::is_consistent;

/// Why a head does not follow the one that was seen before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// It cannot be believed at all.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// It has fewer leaves: the database was taken back to an earlier state.
    #[error(
        "the installation log has {offered} entries, and {seen} were seen signed: its end is missing, as after a restore from a backup"
    )]
    Regression {
        /// Leaves seen.
        seen: u64,
        /// Leaves offered.
        offered: u64,
    },
    /// It does not contain what was seen.
    #[error(
        "the installation log of {offered} entries does not contain the {seen} that were seen signed: its history was written anew"
    )]
    Fork {
        /// Leaves seen.
        seen: u64,
        /// Leaves offered.
        offered: u64,
    },
}

/// Who remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    verifier: Verifier,
    seen: Option<Head>,
}

impl Witness {
    /// One that has seen this much.
    #[must_use]
    pub fn new(verifier: Verifier, seen: Option<Head>) -> Self {
        Self { verifier, seen }
    }

    /// The largest head that was believed.
    #[must_use]
    pub fn seen(&self) -> Option<Head> {
        self.seen
    }

    /// Looks at a head, with the proof that it adds to the one seen before. Remembers it if it does.
    ///
    /// # Errors
    /// See [`Alarm`]; what was seen before is still remembered then.
    pub fn look(&mut self, note: &str, proof: &[NodeHash]) -> Result<Head, Alarm> {
        let head = self.verifier.open(note)?;
        if let Some(seen) = self.seen {
            let (seen_size, offered) = (seen.size, head.size);
            if offered < seen_size {
                return Err(Alarm::Regression {
                    seen: seen_size,
                    offered,
                });
            }
            if !is_consistent((seen.size, seen.root), (head.size, head.root), proof) {
                return Err(Alarm::Fork {
                    seen: seen_size,
                    offered,
                });
            }
        }
        self.seen = Some(head);
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::Signer;
    use crate::proof::Plan;
    use crate::tree::Tree;

    fn log(leaves: &[&str]) -> (Tree, Head) {
        let mut tree = Tree::default();
        for leaf in leaves {
            tree.append(NodeHash::leaf(leaf.as_bytes()));
        }
        let head = Head {
            size: tree.size(),
            root: tree.root(),
        };
        (tree, head)
    }

    #[test]
    fn a_log_that_grows_is_followed_and_one_that_does_not_is_told() {
        let signer = Signer::new("fulcrum/f-07", &Signer::new_key().unwrap()).unwrap();
        let mut witness = Witness::new(signer.verifier().clone(), None);
        let (_, two) = log(&["a", "b"]);
        assert_eq!(witness.look(&signer.sign(&two), &[]), Ok(two));
        assert_eq!(
            witness.look(&signer.sign(&two), &[]),
            Ok(two),
            "the same again"
        );

        let (tree, three) = log(&["a", "b", "c"]);
        let proof = Plan::consistency(&tree, 2).prove(&tree, &[]).unwrap();
        assert_eq!(witness.look(&signer.sign(&three), &proof), Ok(three));

        let regression = Alarm::Regression {
            seen: 3,
            offered: 2,
        };
        assert_eq!(witness.look(&signer.sign(&two), &[]), Err(regression));
        let (other, four) = log(&["a", "x", "c", "d"]);
        let proof = Plan::consistency(&other, 3).prove(&other, &[]).unwrap();
        let fork = Alarm::Fork {
            seen: 3,
            offered: 4,
        };
        assert_eq!(witness.look(&signer.sign(&four), &proof), Err(fork));
        assert_eq!(witness.seen(), Some(three), "what was seen stays seen");
    }
}
